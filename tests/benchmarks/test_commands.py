"""`python -m benchmarks.NAME`: each command on small sizes, what its JSON says, what it refuses."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from afdcd.config import UserError
from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic
from benchmarks.profile import PHASES
from benchmarks.table4 import DESIGNS, distance_flops
from tests.benchmarks.running import main
from tests.running import ROOT

pytestmark = pytest.mark.timeout(120)
SMALL_LOSS = ["--channels", "16", "--student-channels", "8", "--map", "16", "32", "--groups", "4"]
SMALL_PAIR = [
    *["--teacher", "timm:mobilenetv3_small_050", "--student", "timm:lcnet_050"],
    *["--head", "pspnet", "--groups", "2", "--crop", "128", "128", "--repeats", "1"],
]
SHORT_CURVE = ["--seeds", "2", "--iterations", "2", "--batch", "2", "--crop", "64", "64"]
CONDITIONS = {"device", "device_name", "torch", "threads", "memory"}
SIDES = ("ours", "official")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = str(tmp_path_factory.mktemp("scenes"))
    prepare_synthetic(root, SyntheticConfig(height=64, width=80, train=30, val=1, test=1))
    return root


def test_loss_agrees_and_says_how_fast_and_large(capsys: pytest.CaptureFixture[str]) -> None:
    text, values = _bench(capsys, "loss", *SMALL_LOSS, "--repeats", "2")
    assert all(error < 1e-4 for error in values["agreement"]["float32"].values())
    assert values["agreement"]["float32"].keys() == {"projector", "contrast 4*", "whole loss"}
    by = {(row["what"], row["side"]): row for row in values["rows"]}
    for key, what in (
        ("projector_speedup", "projector"),
        ("contrast_speedup", "contrast 4*"),
        ("loss_speedup", "whole loss"),
    ):
        seconds = [by[what, side]["seconds"]["median"] for side in ("official", "ours")]
        assert values[key] == pytest.approx(seconds[0] / seconds[1])
        assert f"{values[key]:.2f}x" in text
    peaks = [by["whole loss", side]["peak_bytes"] for side in SIDES]
    assert values["peak_memory_ratio"] == pytest.approx(peaks[0] / peaks[1])
    for side in SIDES:
        large, small = by["contrast 16", side], by["contrast 4*", side]
        found = values["contrast_patch16"][side]
        assert found["memory_over_4*"] == pytest.approx(large["peak_bytes"] / small["peak_bytes"])
        assert found["memory_over_4*"] > 1
        medians = [row["seconds"]["median"] for row in (large, small)]
        assert found["time_over_4*"] == pytest.approx(medians[0] / medians[1])
    measured = {(row["what"], row["side"], row["algorithm"]) for row in values["rows"]}
    assert {("projector", "ours, kept", "kept"), ("whole loss", "official", None)} <= measured
    for row in values["rows"]:
        assert row.keys() >= CONDITIONS | {"shape", "dtype", "seconds", "peak_bytes"}
        assert row["shape"] == "1x16x16x32"
    assert "peak MiB" in text


def test_loss_in_bf16_is_compared_in_fp32_too(capsys: pytest.CaptureFixture[str]) -> None:
    _, values = _bench(capsys, "loss", *SMALL_LOSS, "--repeats", "1", "--dtype", "bf16")
    exact, rounded = (values["agreement"][dtype] for dtype in ("float32", "bfloat16"))
    assert exact["whole loss"] < 1e-4 < rounded["whole loss"] < 0.3
    assert {row["dtype"] for row in values["rows"] if row["side"] == "ours"} == {"bfloat16"}


def test_step_agrees_and_says_where_its_time_goes(capsys: pytest.CaptureFixture[str]) -> None:
    text, values = _bench(capsys, "step", *SMALL_PAIR, "--batch", "3", "--profile")
    assert values["agreement"].keys() == {"task", "aux", "kd", "fd", "contrast"}
    assert all(error < 1e-4 for error in values["agreement"].values())
    for side in SIDES:
        found = values["sides"][side]
        assert found["images_per_second"] == pytest.approx(3 / found["seconds"]["median"])
        assert found["hours"] == pytest.approx(40_000 * 16 / found["images_per_second"] / 3600)
        assert found["peak_bytes"] > found["peak_bytes_2_images"]
    ours, official = (values["sides"][side] for side in SIDES)
    against = values["against"]["official"]
    rates = [side["images_per_second"] for side in (ours, official)]
    assert against["speedup"] == pytest.approx(rates[0] / rates[1])
    for ratio, peak in (("", "peak_bytes"), ("_2_images", "peak_bytes_2_images")):
        expected = pytest.approx(ours[peak] / official[peak])
        assert against[f"peak_memory_ratio{ratio}"] == expected
    assert f"{against['speedup']:.2f}x as fast" in text
    assert values["phases"].keys() == {*PHASES.values(), "other"}
    for phase, seconds in values["phases"].items():
        assert re.search(rf"^{phase} +{1e3 * seconds:.1f} ", text, re.MULTILINE), phase
    assert values["finite"]
    assert "aten::" in text


def test_step_measures_the_official_side_at_equal_precision(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[Callable[..., Any]] = []
    calls: list[bool] = []  # of what was compiled: whether tensors were counted meanwhile

    def compile_(forward: Callable[..., Any], **_: Any) -> Callable[..., Any]:
        compiled.append(forward)

        def run(*arguments: Any) -> Any:
            calls.append(bool(_get_current_dispatch_mode_stack()))
            return forward(*arguments)

        return run

    monkeypatch.setattr(torch, "compile", compile_)
    sides = ["ours-tf32", "official-bf16", "official-bf16-compiled"]
    text, values = _bench(
        capsys,
        "step",
        *SMALL_PAIR,
        "--batch",
        "2",
        "--pool",
        "0",
        "--patch",
        "8",
        "--sides",
        *sides,
    )
    found = {name: (side["dtype"], side["peak_bytes"]) for name, side in values["sides"].items()}
    assert list(found) == sides
    assert [dtype for dtype, _ in found.values()] == ["float32", "bfloat16", "bfloat16"]
    assert [forward.__name__ for forward in compiled] == ["_terms"]
    assert calls == [True, True, False, False]  # compiling is over before the last, timed one
    assert values["against"].keys() == set(sides[1:])
    assert all(against["speedup"] > 0 for against in values["against"].values())
    assert (values["pool"], values["patch"], values["agreement"]) == (0, 8, {})
    assert values["finite"]
    assert "ours-tf32 is" in text


def test_table4_goes_on_where_a_side_does_not_fit(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.table4.available_bytes", lambda: 4_000_000)
    text, values = _bench(capsys, "table4", *SMALL_PAIR)
    rows = {row["patch"]: row for row in values["rows"]}
    assert list(rows) == ["no patch", "16", "4", "2", "4*"]
    assert rows["no patch"]["sides"] == {}
    assert rows["16"]["sides"]["official"]["peak_bytes"] is None
    measured = [row["sides"][s] for row in values["rows"][1:] for s in SIDES]
    assert [side["hours"] is not None for side in measured] == [True, False, *[True] * 6]
    assert rows["4"]["gflop"] == pytest.approx(3 * 16 * 16 * 16 * 2 * 288 / 1e9)
    assert "does not fit" in text
    assert "65 times the printed 6.2e-3" in text


def test_counts_are_the_papers_but_for_the_pooled_one() -> None:
    gflop = {
        d.name: distance_flops((64, 64), d.pool, d.patch, groups=16, channels=2048) / 1e9
        for d in DESIGNS
    }
    for design in DESIGNS[:-1]:
        assert gflop[design.name] == pytest.approx(design.paper, rel=0.035), design.name
    assert gflop["4*"] == pytest.approx(0.4027, rel=1e-3)  # printed: 6.2e-3


def test_curve_trains_both_sides_alike(
    capsys: pytest.CaptureFixture[str], scenes: str, tmp_path: Path
) -> None:
    picture = tmp_path / "curve.png"
    _, values = _bench(capsys, "curve", *SHORT_CURVE, "--data", scenes, "--out", str(picture))
    runs = {(run["side"], run["seed"]): run for run in values["runs"]}
    assert runs.keys() == {(side, seed) for side in SIDES for seed in range(2)}
    for seed in range(2):
        ours, official = (runs[side, seed]["terms"] for side in SIDES)
        assert ours.keys() == official.keys() == {"task", "aux", "kd", "fd", "contrast"}
        for term in ours:
            assert ours[term] == pytest.approx(official[term], rel=1e-3), term
    assert runs["ours", 0]["terms"] != runs["ours", 1]["terms"]
    for name, of in (("miou", _score), ("last_loss", _last_loss)):
        listed = {side: [of(runs[side, seed]) for seed in range(2)] for side in SIDES}
        assert {side: values[name][side] for side in SIDES} == listed
        spread = max(max(scores) - min(scores) for scores in listed.values())
        assert values[name]["spread"] == pytest.approx(spread)
    assert values["last_loss"]["spread"] > 0  # seeds that agree say nothing of a difference
    assert Image.open(picture).width > 500


def test_a_seed_by_itself_is_that_seeds_run_of_a_series(
    capsys: pytest.CaptureFixture[str], scenes: str
) -> None:
    short = [*SHORT_CURVE, "--data", scenes]
    text, alone = _bench(capsys, "curve", *short, "--seed", "1")
    _, series = _bench(capsys, "curve", *short)
    assert [run["seed"] for run in alone["runs"]] == [1, 1]
    assert alone["runs"] == [run for run in series["runs"] if run["seed"] == 1]
    assert alone["miou"]["standard_error"] is alone["miou"]["within_spread"] is None
    assert "between seeds" not in text


def test_validation_counts_the_same_with_loader_processes_and_without(
    capsys: pytest.CaptureFixture[str],
) -> None:
    small = ["--head", "pspnet", "--student", "timm:lcnet_050", "--size", "64", "128"]
    few = ["--pictures", "3", "--repeats", "1", "--loader-workers", "2"]
    text, values = _bench(capsys, "validation", *small, *few)
    rates = values["images_per_second"]
    assert values["speedup"] == pytest.approx(rates["loader processes"] / rates["one process"])
    assert f"{values['speedup']:.2f}x as fast" in text
    assert values["student"] == "pspnet-lcnet_050"


def test_beside_trains_on_what_processes_load(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--size", "160", "320", "--pictures", "2", "--steps", "2", "--loader-workers", "1"]
    text, values = _bench(capsys, "beside", *SMALL_PAIR, "--batch", "2", *sizes)
    rates = values["images_per_second"]
    loaded, memory = rates["step on loaded crops"], rates["step on a batch in memory"]
    assert values["loaded_over_memory"] == pytest.approx(loaded / memory)
    assert rates["loading alone"] > 0
    assert (values["loader_workers"], values["crop"]) == (1, [128, 128])
    assert "1 loader processes" in text


def test_runs_without_what_only_a_study_needs(scenes: str) -> None:
    """A machine with a GPU, torch and timm is enough to measure on."""
    program = (
        "import sys; sys.modules.update(dict.fromkeys("
        "['ray', 'mlflow', 'optuna', 'sqlalchemy', 'matplotlib']))\n"
        "from tests.benchmarks.running import main\n"
        f"main({['loss', *SMALL_LOSS, '--repeats', '1', '--device', 'cpu']})\n"
        f"main({['curve', *SHORT_CURVE, '--data', scenes, '--device', 'cpu']})\n"
    )
    _run(program, status=0)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["loss", "--map", "20", "32"], r"--map 20 32: .* multiples of 16"),
        (["loss", "--groups", "3"], r"--groups: .*3 does not divide .* 512"),
        (["loss", "--groups", "1"], r"--groups 1: .* 2 or more"),
        (["loss", "--mask-ratio", "1"], r"--mask-ratio 1.0: .* below 1"),
        (["step", "--student", "resnet81"], r"resnet81.*resnet18"),
        (["step", "--crop", "64", "64"], r"patch 4x4 does not fit"),
        (["step", "--profile", "--sides", "official"], r"--profile: .* add ours to --sides"),
        (["table4", "--crop", "360", "360"], r"--crop 360 360: .* multiples of 128"),
        (["curve", "--seeds", "1"], r"--seeds 1: .* at least 2"),
        (["curve", "--seed", "-1"], r"--seed -1: .* at least 0"),
        (["validation", "--loader-workers", "0"], r"--loader-workers 0: .* at least 1"),
        (["beside", "--pictures", "0"], r"--pictures 0: .* at least 1"),
        (["beside", "--steps", "0"], r"--steps 0: .* at least 1"),
        (["beside", "--loader-workers", "0"], r"--loader-workers 0: .* at least 1"),
    ],
)
def test_refuses_what_cannot_be_measured(argv: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        main([*argv, "--device", "cpu"])


def test_a_plot_without_matplotlib_is_refused_before_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("afdcd.extras.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"--out needs matplotlib.* pip install 'afdcd\[plot\]'"):
        main(["curve", "--data", "nowhere", "--out", "curve.png"])


def _score(run: dict[str, Any]) -> float:
    return run["miou"]


def _last_loss(run: dict[str, Any]) -> float:
    return sum(values[-1] for values in run["terms"].values())


def _bench(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[str, dict[str, Any]]:
    assert main([*argv, "--device", "cpu", "--json"]) == 0
    text, _, last = capsys.readouterr().out.rstrip().rpartition("\n")
    return text, json.loads(last)


def _run(program: str, *, status: int) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=110
    )
    assert done.returncode == status, done.stderr
    return done.stderr
