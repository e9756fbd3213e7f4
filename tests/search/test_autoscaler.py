"""What an autoscaler may start, by each of the three ways in which Ray says it."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from afdcd.search import autoscaler
from afdcd.search.autoscaler import growth, of_file, of_groups
from afdcd.search.capacity import Kind

FILE: dict[str, Any] = {
    "head_node_type": "head",
    "max_workers": 3,
    "available_node_types": {
        "head": {"resources": {"CPU": 8}, "max_workers": 1},
        "big": {"resources": {"CPU": 4, "GPU": 1}, "min_workers": 0, "max_workers": 5},
    },
}


def group(name: str, most: int, least: int = 0) -> Any:
    return SimpleNamespace(name=name, resources={"CPU": 4}, max_count=most, min_count=least)


def test_node_groups_with_a_range_grow() -> None:
    assert of_groups([group("a", 2)]) == (Kind({"CPU": 4}, 2),)
    assert of_groups([group("a", -1)]) == (Kind({"CPU": 4}, math.inf),)
    assert of_groups([group("a", 2, least=2)]) is None


def test_a_cluster_file_says_what_may_be_added() -> None:
    assert of_file(FILE) == (Kind({"CPU": 4, "GPU": 1}, 3),)
    unsaid = {**FILE, "available_node_types": {"big": {"max_workers": 2}}}
    assert of_file(unsaid) == ()
    big = {"resources": {"CPU": 4}, "min_workers": 2, "max_workers": 2}
    assert of_file({**FILE, "available_node_types": {"big": big}}) is None


@pytest.mark.parametrize(
    ("groups", "file", "types", "found"),
    [
        ([], {}, ["node_ab12", "node_cd34", ""], None),  # `ray start` by hand
        ([], {}, ["headgroup", "workergroup"], ()),
        ([group("a", 2)], FILE, ["headgroup"], (Kind({"CPU": 4}, 2),)),
        ([], FILE, ["head"], (Kind({"CPU": 4, "GPU": 1}, 3),)),
    ],
)
def test_who_says_most_is_believed(
    groups: list[Any], file: Any, types: list[str], found: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autoscaler, "_asked", lambda: (groups, file, types))
    assert growth() == found


@pytest.mark.parametrize("text", ["- a list", "{broken", yaml.safe_dump(FILE)])
def test_any_file_of_that_name_is_survived(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert autoscaler._head_file() == {}
    (tmp_path / "ray_bootstrap_config.yaml").write_text(text)
    assert autoscaler._head_file() == (FILE if "big" in text else {})
