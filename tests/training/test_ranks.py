"""Two processes train what one does, reduce the large gradients early, and stop together."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing as mp
from safetensors.torch import load_file
from torch import Tensor

from tests.training.ranks import gradients, learned, one_of_two

# The two processes take a while to start, so they do it once for all of these tests.
pytestmark = [pytest.mark.xdist_group("ranks"), pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What either of two processes left."""
    path = tmp_path_factory.mktemp("ranks")
    mp.spawn(one_of_two, (str(path),), nprocs=2)
    return path


@pytest.fixture(scope="module")
def one() -> tuple[dict[str, Tensor], dict[str, Any]]:
    return learned(0, 1)


def test_two_processes_compute_the_gradient_of_one(folder: Path) -> None:
    """Task, auxiliary, KD, reconstruction and contrast, with unevenly labelled images."""
    expected = gradients(0, 1)
    assert {"term.task", "term.aux", "term.kd", "term.fd", "term.contrast"} < expected.keys()
    for rank in range(2):
        found = load_file(folder / f"gradients{rank}.safetensors")
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=1e-6, atol=1e-9, msg=name)


def test_two_processes_learn_what_one_does(
    folder: Path, one: tuple[dict[str, Tensor], dict[str, Any]]
) -> None:
    for rank in range(2):
        found = load_file(folder / f"learned{rank}.safetensors")
        assert found.keys() == one[0].keys()
        for name, value in one[0].items():
            torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-6, msg=name)
        told = json.loads((folder / f"told{rank}.json").read_text())["terms"]
        assert [iteration for iteration, _ in told] == [0, 1, 2, 3]
        for (_, terms), (_, expected) in zip(told, one[1]["terms"], strict=True):
            assert terms == pytest.approx(expected, rel=1e-4, nan_ok=True)


def test_two_processes_that_take_their_shares_in_parts_learn_the_same(
    folder: Path, one: tuple[dict[str, Tensor], dict[str, Any]]
) -> None:
    for rank in range(2):
        found = load_file(folder / f"parts{rank}.safetensors")
        for name, value in found.items():
            torch.testing.assert_close(value, one[0][name], rtol=1e-4, atol=1e-6, msg=name)


def test_term_that_is_not_finite_on_one_rank_stops_both(folder: Path) -> None:
    for rank in range(2):
        told = json.loads((folder / f"told{rank}.json").read_text())["terms"]
        assert [math.isfinite(sum(terms.values())) for _, terms in told] == [
            True,
            True,
            False,
            True,
        ]
        state = load_file(folder / f"learned{rank}.safetensors")
        before = {name: v for name, v in state.items() if name.startswith("trained.")}
        assert before
        for name, value in before.items():
            assert state[name.replace("trained.", "diverged.")].equal(value), name


def test_gradients_of_the_distiller_are_reduced_first_and_its_convolutions_alone(
    folder: Path,
) -> None:
    buckets = json.loads((folder / "told0.json").read_text())["buckets"]
    second = buckets[1 : 1 + (len(buckets) - 1) // 3]  # the first iteration's are all in one
    order = [name.split(".")[0] for bucket in second for name in bucket]
    assert order == sorted(order)  # distiller, then student
    for index in (0, 2):
        weight = f"distiller.reconstruct.projector.{index}.weight"
        (bucket,) = (bucket for bucket in second if weight in bucket)
        assert {name.rsplit(".", 1)[1] for name in bucket if name != weight} <= {"bias"}


def test_nothing_of_this_loads_ray(folder: Path) -> None:
    assert not json.loads((folder / "told0.json").read_text())["ray"]


def test_ranks_whose_clocks_disagree_take_the_same_algorithm(folder: Path) -> None:
    """What the first rank measured, also where it is found in the record."""
    for rank in range(2):
        told = json.loads((folder / f"told{rank}.json").read_text())
        assert told["choices"] == ["kept", "kept"]
