"""Runs of one study take one algorithm for one case, whoever measures it, and when."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from afdcd import storage
from afdcd.distillers.algorithm import Algorithm
from afdcd.training.choices import Choices, follow
from tests.training.networks import learner_of

CASE = "an H200, bfloat16, 2x5x9x7 to 6 channels"


def never() -> Algorithm:
    raise AssertionError("measured again")


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_a_case_is_measured_once_for_all_runs_and_drivers(tmp_path: Path, prefix: str) -> None:
    folder = f"{prefix}{tmp_path}/choices"
    assert Choices(folder)(CASE, lambda: "kept+winograd") == "kept+winograd"
    assert Choices(folder)(CASE, never) == "kept+winograd"
    assert Choices(folder)("another card", lambda: "kept") == "kept"
    (name, _) = storage.names(folder)
    assert json.loads(storage.read_bytes(storage.join(folder, name)))["case"]


def test_runs_that_measure_at_the_same_time_take_what_the_first_wrote(tmp_path: Path) -> None:
    """Each finds nothing, then all measure, and each measures something else."""
    together = threading.Barrier(4)
    taken: list[Algorithm] = []

    def measured(found: Algorithm) -> Callable[[], Algorithm]:
        def measure() -> Algorithm:
            together.wait()
            return found

        return measure

    def run(found: Algorithm) -> None:
        taken.append(Choices(str(tmp_path))(CASE, measured(found)))

    found: list[Algorithm] = ["dense", "kept", "winograd", "kept+winograd"]
    threads = [threading.Thread(target=run, args=(one,)) for one in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 4
    assert len(set(taken)) == 1
    assert Choices(str(tmp_path))(CASE, never) == taken[0]
    assert len(list(tmp_path.iterdir())) == 1  # no draft is left


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"algorithm": "auto"}', b'{"case": "x"}'])
def test_a_damaged_record_costs_a_measurement_and_no_run(tmp_path: Path, content: bytes) -> None:
    Choices(str(tmp_path))(CASE, lambda: "kept")
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)
    assert Choices(str(tmp_path))(CASE, lambda: "winograd") == "winograd"


@pytest.mark.parametrize(("device", "asked"), [("cpu", False), ("cuda", True)])
def test_only_runs_on_a_gpu_follow_a_measurement(device: str, asked: bool) -> None:
    distiller = learner_of().step.distiller
    follow(Choices("choices"), distiller, torch.device(device))
    assert (distiller.reconstruct.choose is not None) is asked
