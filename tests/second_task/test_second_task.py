"""A task that comes in a package of its own trains, is searched and registered; afdcd has no word of it."""

import os
import re
from pathlib import Path

import pytest

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
    assert "afdcd.predict" not in printed
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
    assert f"best: rmse {100 * scores[best]:.2f} %" in study.ask("status", "tiny")
    file = tmp_path / "runs" / "studies" / "tiny" / "trials" / "0000" / "student.safetensors"
    with pytest.raises(UserError, match="task is brightness, which is not installed here"):
        predict.main([str(file), str(tmp_path), "--out", str(tmp_path / "out")])


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
