"""A method and an encoder join a copy of afdcd by what CONTRIBUTING.md says, and by nothing else."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient
from safetensors.torch import load_file

from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SPACE = """
data: {dataset: synthetic, crop: [64, 64]}
pair:
  student: {head: pspnet, encoder: STUDENT}
  teacher:
    model: {head: pspnet, encoder: "timm:lcnet_050"}
    train: {iterations: 20, validate_every: 10, batch: 4}
distiller: {choice: [{method: none}, {method: kd}DISTILLER]}
training: {iterations: 4, validate_every: 2, batch: 4}
study: {trials: 2, proof: {seeds: 0}}
"""
pytestmark = pytest.mark.timeout(240)


class Copy:
    """The package and its tests, to be changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for part in ("afdcd", "tests"):
            ignored = shutil.ignore_patterns("__pycache__", "*.png")
            shutil.copytree(ROOT / part, folder / part, ignore=ignored)
        shutil.copy(ROOT / "pyproject.toml", folder)

    def add(self, template: str, place: str) -> None:
        shutil.copy(HERE / template, self.folder / place)

    def edit(self, place: str, *pairs: tuple[str, str]) -> None:
        text = (self.folder / place).read_text()
        for old, new in pairs:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        (self.folder / place).write_text(text)

    def changed(self) -> list[str]:
        """Files of the package that are new or other than ours."""
        found = []
        for file in (self.folder / "afdcd").rglob("*.py"):
            name = file.relative_to(self.folder)
            ours = ROOT / name
            if not ours.exists() or ours.read_bytes() != file.read_bytes():
                found.append(str(name))
        return sorted(found)

    def python(self, *words: str, status: int = 0) -> str:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {**os.environ, "PYTHONPATH": str(self.folder), "PATH": path}
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout if status == 0 else done.stderr

    def join(self, *names: str, module: str) -> None:
        """Write the names of methods' settings into the union."""
        place = f"from afdcd.distillers.configs.{module} import {', '.join(sorted(names))}\n"
        kd = "from afdcd.distillers.configs.kd import"
        union = "    | KDConfig\n"
        joined = "".join(f"    | {name}\n" for name in names) + union
        self.edit("afdcd/distillers/configs/__init__.py", (kd, place + kd), (union, joined))

    def check(self, student: str, distiller: str = "") -> str:
        text = SPACE.replace("STUDENT", student).replace("DISTILLER", distiller)
        (self.folder / "space.yaml").write_text(text)
        return self.python("-m", "afdcd.tune", "--check", "space.yaml")


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def test_a_method_is_two_files_and_a_name_and_keeps_the_contract(copy: Copy) -> None:
    copy.add("attention_config.py", "afdcd/distillers/configs/attention.py")
    copy.add("attention.py", "afdcd/distillers/attention.py")
    copy.join("AttentionConfig", module="attention")
    assert copy.changed() == [
        "afdcd/distillers/attention.py",
        "afdcd/distillers/configs/__init__.py",
        "afdcd/distillers/configs/attention.py",
    ]
    kept = copy.python("-m", "pytest", "-q", "tests/distillers/test_contract.py", "-k", "attention")
    passed = re.search(r"^(\d+) passed", kept, re.MULTILINE)
    assert passed
    assert int(passed[1]) >= 10  # as many as every method is asked
    method = ", {method: attention, weight: {log: [100.0, 1.0e+4]}}"
    assert "attention" in copy.check('"timm:lcnet_050"', method)


def test_an_encoder_is_a_file_and_two_names(copy: Copy) -> None:
    copy.add("patches.py", "afdcd/models/patches.py")
    line = '    "mobilenetv2": lambda: MobileNetV2(),\n'
    copy.edit(
        "afdcd/models/encoders.py",
        (
            "from afdcd.models.taps import Tap\n",
            "from afdcd.models.patches import Patches\nfrom afdcd.models.taps import Tap\n",
        ),
        (line, line + '    "patches": lambda: Patches(),\n'),
    )
    copy.edit("afdcd/models/config.py", ('"mobilenetv2")\nT', '"mobilenetv2", "patches")\nT'))
    assert copy.changed() == [
        "afdcd/models/config.py",
        "afdcd/models/encoders.py",
        "afdcd/models/patches.py",
    ]
    assert "pspnet-patches" in copy.check("patches")


def test_an_encoder_of_timm_is_a_name_alone(copy: Copy) -> None:
    assert "pspnet-regnetx_002" in copy.check('"timm:regnetx_002"')
    assert copy.changed() == []


@pytest.mark.slow
@pytest.mark.xdist_group("ray")
@pytest.mark.timeout(600)
def test_a_method_with_a_prerequisite_has_it_trained_once_and_found_again(
    copy: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a first run must learn from the teacher: registered, in the ledger, and not paid for twice."""
    monkeypatch.setenv("AFDCD_STORAGE", str(copy.folder / "runs"))
    copy.add("tokens_config.py", "afdcd/distillers/configs/tokens.py")
    copy.add("tokens.py", "afdcd/distillers/tokens.py")
    copy.join("MaskedConfig", "TokensConfig", module="tokens")
    root = str(copy.folder / "data")
    prepare_synthetic(root, SyntheticConfig(height=64, width=64, train=36, val=2, test=3))
    space = SPACE.replace("synthetic,", f"synthetic, root: {root},").replace("{method: kd}", MASKED)
    (copy.folder / "space.yaml").write_text(
        space.replace("DISTILLER", "").replace("STUDENT", SMALL)
    )
    first = copy.python("-m", "afdcd.tune", "space.yaml", "study.name=first")
    assert "prerequisite tokens-pspnet-lcnet_050 starts (6 iterations)" in first
    assert "masked completed" in first
    again = copy.python("-m", "afdcd.tune", "space.yaml", "study.name=again")
    assert "prerequisite" not in again
    assert "masked completed" in again
    client = MlflowClient(f"sqlite:///{copy.folder}/runs/mlflow.db")
    (version,) = client.search_model_versions(
        "name = 'synthetic-prerequisite-tokens-pspnet-lcnet_050'"
    )
    assert client.get_model_version(version.name, version.version).aliases == ["newest"]
    (file,) = (copy.folder / "runs" / "prerequisites").glob("*.safetensors")
    learnt = load_file(file)["tokens"]
    # What the students were trained with, out of a checkpoint's or weights' reach: their setting says so.
    assert learnt.shape == (3, 8)
    assert learnt.std() > 0
    hours = copy.python("-m", "afdcd.study", "status", "first")
    assert "device-hours" in hours or "CPU-hours" in hours
    for change, said in BAD.items():
        told = copy.python("-m", "afdcd.tune", "--check", "space.yaml", change, status=2)
        assert said in told


SMALL = '"timm:lcnet_050"'
MASKED = "{method: masked, tokens: 3, iterations: 6}"
BAD = {
    "distiller={method: tokens}": "'tokens' is trained by itself, for the method that needs it",
    "distiller={method: masked, tokens: {int: [2, 4]}}": "distiller.tokens: each value needs a run",
}
