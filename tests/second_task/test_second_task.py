"""A task that comes in a package of its own trains, is searched and registered; afdcd has no word of it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from afdcd import predict
from afdcd.config import UserError
from afdcd.search.open_study import connect
from tests.running import ROOT, Study, finish

HERE = Path(__file__).parent
SPACE = """
task: brightness
data: {dataset: synthetic, root: ROOT, crop: [64, 64]}
pair:
  student: {head: pspnet, encoder: "timm:lcnet_050"}
  teacher:
    model: {head: pspnet, encoder: "timm:lcnet_050"}
    train: {iterations: 4, validate_every: 4, batch: 4, lr: 0.01}
distiller: {choice: [{method: none}, {method: mgd, kd_weight: 0}]}
training: {iterations: 6, validate_every: 3, batch: 4, lr: 0.01}
study:
  trials: 2
  grace: null
  proof: {seeds: 0}
  enqueue: [{distiller: {method: none}}, {distiller: {method: mgd}}]
"""
KNOWS = ("training", "search", "tracking")
OF_SEGMENTATION = re.compile(r"\bm?iou\b|mIoU|\bIoU\b|\bIGNORE\b|palette")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    from afdcd.data.synthetic.config import SyntheticConfig
    from afdcd.data.synthetic.dataset import prepare_synthetic

    folder = str(tmp_path_factory.mktemp("data"))
    prepare_synthetic(folder, SyntheticConfig(height=64, width=64, train=36, val=2, test=3))
    return folder


@pytest.mark.xdist_group("ray")
@pytest.mark.timeout(400)
def test_it_trains_is_searched_and_registered(
    root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = Study(tmp_path, SPACE.replace("ROOT", root))
    study.environment["PYTHONPATH"] = os.pathsep.join((str(HERE), str(ROOT)))
    printed = finish(study.start())
    assert "rmse" in printed
    assert "afdcd.predict" in printed
    values = {job: run.data.metrics for job, run in study.runs().items()}
    scores = {job: of["rmse"] for job, of in values.items() if job.startswith("trial-")}
    assert len(scores) == 2
    assert values["study"]["rmse"] == min(scores.values())  # the lower the better
    best = min(scores, key=scores.__getitem__)
    (version,) = [v for v in _versions(study) if "candidate" in v.aliases]
    assert version.tags["trial"] == str(int(best.removeprefix("trial-")))
    assert float(version.tags["rmse"]) == pytest.approx(scores[best], abs=1e-4)
    (taught,) = study.client.search_registered_models("name LIKE '%teacher%'")
    assert "rmse" in study.client.get_model_version(taught.name, "1").tags
    kept = connect(f"sqlite:///{tmp_path}/runs/study.db", "tiny", higher_is_better=False)
    assert kept.user_attrs["measure"] == {"name": "rmse", "higher_is_better": False}
    assert f"chosen: rmse {100 * scores[best]:.2f} %" in study.ask("status", "tiny")
    file = tmp_path / "runs" / "studies" / "tiny" / "trials" / "0000" / "student.safetensors"
    with pytest.raises(UserError, match="task brightness is not installed here"):
        predict.main([str(file), str(tmp_path), "--out", str(tmp_path / "out")])
    _is_used(study, str(file), root)


def _is_used(study: Study, file: str, root: str) -> None:
    """`evaluate` and `predict` go through the task, and refuse what it does not know."""
    told, _ = _afdcd(study, "evaluate", file, "--data", root, "--json")
    values = json.loads(told.splitlines()[-1])
    assert 0 < values["rmse"] < 1
    assert values["images"] == 6
    for option in (["--flip"], ["--window", "32", "32"], ["--export", "somewhere"]):
        assert "task brightness" in _afdcd(study, "evaluate", file, "--data", root, *option)[1]
    picture, out = study.folder / "a.jpg", study.folder / "drawn"
    Image.new("RGB", (40, 30), "gray").save(picture)
    assert "1 of 1 images" in _afdcd(study, "predict", file, str(picture), "--out", str(out))[0]
    assert Image.open(out / "a_brightness.png").size == (40, 30)
    assert [f.name for f in out.iterdir()] == ["a_brightness.png"]


def _afdcd(study: Study, *words: str) -> tuple[str, str]:
    command = [sys.executable, "-m", "afdcd", *words]
    done = subprocess.run(command, capture_output=True, text=True, env=study.environment)
    return done.stdout, done.stderr


def test_nothing_but_tasks_models_and_data_speaks_of_segmentation() -> None:
    """What they import is import-linter's to see (pyproject.toml)."""
    wrong = []
    for part in KNOWS:
        for file in sorted((ROOT / "afdcd" / part).rglob("*.py")):
            for number, line in enumerate(file.read_text().splitlines(), 1):
                if OF_SEGMENTATION.search(line):
                    wrong.append(f"{file.relative_to(ROOT)}:{number}: {line.strip()}")
    assert not wrong


def test_no_file_of_the_package_knows_of_it() -> None:
    files = list((ROOT / "afdcd").rglob("*.py"))
    assert len(files) > 200
    assert not [f for f in files if "brightness" in f.read_text() and "data" not in f.parts]


def _versions(study: Study) -> list[object]:
    client = study.client
    found = client.search_model_versions("name = 'tiny'")
    return [client.get_model_version(v.name, v.version) for v in found]
