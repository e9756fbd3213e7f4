"""What a trial is built into: its teacher, the study's choices, a compiled student."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from afdcd.distillers import projector
from afdcd.models.outputs import Output
from afdcd.training.build_learner import _compiles, build_learner
from afdcd.training.recipe import TrainingConfig
from tests.examples import trial
from tests.training.networks import CLASSES, CPU, batch, built_teacher, learner_of, parameters


def test_distiller_without_a_teacher_is_refused() -> None:
    with pytest.raises(ValueError, match="method 'afdcd' needs a teacher"):
        build_learner(trial(), CLASSES, None, CPU)


def test_two_runs_of_a_study_on_a_cpu_are_equal_whatever_the_clock_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the bit, with a map that is large enough for the algorithms to differ."""
    monkeypatch.setattr(projector, "SMALL", 0)
    monkeypatch.setattr(projector.time, "perf_counter", iter(range(99, 0, -1)).__next__)
    config, trained = trial(), []
    for folder in ("choices", "others"):
        torch.manual_seed(5)
        teacher = built_teacher(config.pair.teacher.model)
        place = str(tmp_path / folder)
        learner = build_learner(config, CLASSES, teacher, CPU, choices=place)
        for iteration in range(2):
            learner.iterate(iteration, *batch(images=2, side=32))
        trained.append(parameters(learner.step))
        assert learner.notes == {"projector": "kept"}
    assert all(value.equal(trained[1][name]) for name, value in trained[0].items())
    assert not list(tmp_path.iterdir())


def test_compiled_student_trains_the_same_and_hides_from_the_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled = []
    original = torch.compile

    def traced(forward: Callable, **options: Any) -> Callable:
        compiled.append(forward)
        return original(forward, backend="eager", **options)

    monkeypatch.setattr(torch, "compile", traced)
    plain, learner = (learner_of(training__compile=choice) for choice in ("off", "on"))
    for each in (plain, learner):
        each.iterate(0, *batch())
    assert compiled == [learner.step.student.forward]
    assert plain.drain() == learner.drain()
    expected, found = plain.step.state_dict(), learner.step.state_dict()
    assert found.keys() == expected.keys()
    assert all(value.equal(expected[name]) for name, value in found.items())


def test_what_cannot_be_compiled_runs_as_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls = []

    def broken(forward: Callable, **options: Any) -> Callable:
        def run(images: Tensor) -> Output:
            calls.append(images)
            raise RuntimeError("Failed to find C compiler.\nPlease specify via CC")

        return run

    monkeypatch.setattr(torch, "compile", broken)
    learner = learner_of(training__compile="on")
    for iteration in range(2):
        learner.iterate(iteration, *batch())
    assert len(learner.drain()) == 2
    assert len(calls) == 1
    (record,) = caplog.records
    assert record.getMessage() == "the student runs uncompiled: Failed to find C compiler."


@pytest.mark.parametrize(
    ("choice", "device", "world", "iterations", "expected"),
    [
        ("auto", "cuda", 1, 2000, True),
        ("auto", "cuda", 1, 1999, False),
        ("auto", "cuda", 2, 2000, False),
        ("auto", "cpu", 1, 2000, False),
        ("on", "cpu", 2, 1, True),
        ("off", "cuda", 1, 40_000, False),
    ],
)
def test_long_runs_on_one_gpu_are_compiled(
    choice: str, device: str, world: int, iterations: int, expected: bool
) -> None:
    config = TrainingConfig(iterations=iterations, validate_every=1, compile=choice)
    assert _compiles(config, torch.device(device), world) is expected
