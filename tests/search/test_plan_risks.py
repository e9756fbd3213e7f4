"""What a plan foresees: refused where it is certain, a warning where it may be; with file and line."""

from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from afdcd.search.load import SearchSpace, read_space
from afdcd.search.plan import risks as module
from afdcd.search.plan.devices import GIB, Device, Machine, machine_of
from afdcd.search.plan.make import make_plan
from afdcd.search.plan.risks import risks

SPACE = """data: {dataset: cityscapes, root: shards, crop: [128, 128], loader_workers: 2}
pair:
  student: {head: pspnet, encoder: "timm:lcnet_050"}
  teacher:
    model: {head: pspnet, encoder: "timm:resnet10t"}
    train: {iterations: 40000, validate_every: 2000, batch: 8}
distiller:
  choice:
    - {method: none}
    - {method: afdcd, groups: 8, patch: 2, pool: 0}
training: {iterations: 40000, validate_every: 2000, batch: 8}
resources: {workers: 1}
"""
Disk = namedtuple("Disk", "total used free")


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AFDCD_STORAGE", str(tmp_path))

    def load(*overrides: str, text: str = SPACE) -> SearchSpace:
        file = tmp_path / "s.yaml"
        file.write_text(text)
        return read_space(str(file), list(overrides))

    return load


def told(space: SearchSpace, machine: Any = "1xH100") -> tuple[str, str]:
    """Errors and warnings, each as one text."""
    found = machine_of(machine) if isinstance(machine, str) else machine
    errors, warnings = risks(space, make_plan(space, found))
    return "\n".join(errors), "\n".join(warnings)


def with_memory(gib: float, *, named: bool = True) -> Machine:
    device = machine_of("H100").device
    values = {**vars(device), "memory": gib * GIB}
    return Machine(Device(**values), 1, named)


def test_a_space_without_danger_has_no_line(load) -> None:
    assert told(load("data.loader_workers=0", "data.dataset=voc")) == ("", "")


def test_memory_that_cannot_suffice_is_refused_and_a_tight_one_told(load) -> None:
    errors, _ = told(load(), with_memory(0.6))
    assert (
        "s.yaml:11: training.batch: a worker, pspnet-resnet10t > pspnet-lcnet_050 afdcd" in errors
    )
    assert "s.yaml:6: pair.teacher.train.batch: a worker of the teacher's training" in errors
    assert " at least), one H100 has 0.6; lower training.batch or data.crop, or raise" in errors
    need = make_plan(load(), machine_of("H100")).corners[1].need
    errors, warnings = told(load(), with_memory(need.likely / GIB))
    assert "training.batch" not in errors
    assert "training.batch: a worker, pspnet-resnet10t > pspnet-lcnet_050 afdcd" in warnings


def test_what_a_method_remembers_is_foreseen_and_refused_by_its_key(load) -> None:
    old = "{method: afdcd, groups: 8, patch: 2, pool: 0}"
    text = SPACE.replace(old, "{method: cirkd}")
    large = SPACE.replace(old, "{method: cirkd, pixel_memory: 400000}")
    errors, _ = told(load(text=large), with_memory(2))
    assert "pixel_memory: a worker, pspnet-resnet10t > pspnet-lcnet_050 cirkd" in errors
    assert "lower distiller.pixel_memory and distiller.region_memory" in errors
    assert "cirkd" not in told(load(text=text), with_memory(2))[0]


def test_what_this_machines_cpu_cannot_hold_is_no_error_for_a_cluster_elsewhere(load) -> None:
    small = Machine(machine_of("CPU").device, 0)
    errors, warnings = told(load(), small)
    assert not errors
    assert "s.yaml:12: resources.workers: a run needs 1 workers of 1 CPU, 0 x CPU" in warnings


def test_workers_that_no_cluster_of_that_size_holds_are_refused(load) -> None:
    errors, _ = told(load("resources.workers=4"), "2xH100")
    assert "s.yaml:12: resources.workers: a run needs 4 workers, 2 x H100 holds none" in errors
    assert not told(load("resources.workers=4"), "4xH100")[0]


def test_loaders_that_hold_up_the_device_are_told_once_with_how_many_would_do(load) -> None:
    _, warnings = told(load())
    (line,) = [line for line in warnings.splitlines() if "loader processes" in line]
    assert line.partition("s.yaml:")[2].startswith(
        "1: data.loader_workers: 2 loader processes feed "
    )
    assert "would do" in line


def test_validations_that_take_longer_than_training_are_told(load) -> None:
    often = load("training.validate_every=10", "data.loader_workers=8")
    assert "s.yaml:11: training.validate_every: validations take longer than" in told(often)[1]


def test_a_teacher_that_only_its_weights_know_is_left_out_and_that_is_said(load) -> None:
    _, warnings = told(load("pair.teacher={weights: t.safetensors}"))
    assert "s.yaml:2: pair.teacher: which network it is only its weights say" in warnings
    assert "which network" not in told(load())[1]


def test_terms_that_are_always_zero_are_told_at_the_option_they_stand_in(load) -> None:
    _, warnings = told(load(text=SPACE.replace("groups: 8", "groups: 1")))
    assert "s.yaml:10: distiller.groups: one group has no other groups to be told" in warnings
    one = load("distiller={method: afdcd, groups: 1, patch: 2, pool: 0}")
    assert "distiller.groups: one group has no other groups to be told from" in told(one)[1]
    others = "distiller={method: afdcd, groups: 1, patch: 2, pool: 0, negatives: all_others}"
    assert "one group" not in told(load(others))[1]
    none = load("distiller={method: kd, weight: 0.0}")
    assert "distiller: kd with all weights 0 is no distillation" in told(none)[1]
    zeros = "distiller={method: afdcd, kd_weight: 0.0, fd_weight: 0.0, contrast_weight: 0.0}"
    assert "afdcd with all weights 0" in told(load(zeros))[1]


def test_a_part_of_several_that_is_always_zero_is_told_at_its_key(load) -> None:
    parts = "{kd: {weight: 0.0}, afdcd: {groups: 1, patch: 2, pool: 0}, maskd: {aux_weight: 0}}"
    _, warnings = told(load(f"distiller={{method: combined, terms: {parts}}}"))
    assert "distiller.terms.afdcd.groups: one group has no other groups to be told" in warnings
    assert "distiller.terms.kd: kd with all weights 0 is no distillation" in warnings
    assert "maskd with all" not in warnings


def test_what_a_part_of_several_remembers_is_refused_by_its_key(load) -> None:
    parts = "{cirkd: {pixel_memory: 400000}, mgd: {}}"
    errors, _ = told(load(f"distiller={{method: combined, terms: {parts}}}"), with_memory(2))
    assert "terms.cirkd.pixel_memory: a worker, pspnet-resnet10t > pspnet-lcnet_050 comb" in errors
    assert "lower distiller.terms.cirkd.pixel_memory and distiller.terms.cirkd.reg" in errors


def test_a_full_disk_or_shared_memory_of_this_machine_is_told(
    load, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = with_memory(80, named=False)
    assert "/dev/shm" not in told(load(), here)[1]
    full = Disk(1, 1, 1000)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda place: full)
    _, warnings = told(load(), here)
    assert "data.loader_workers: batches on their way take " in warnings
    assert "/dev/shm, 1.0 kB are free" in warnings
    assert "study: " in warnings
    assert "has 1.0 kB, the study needs " in warnings
    assert "/dev/shm" not in told(load(), "1xH100")[1]  # a cluster elsewhere has its own
