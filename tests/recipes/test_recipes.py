"""A method and an encoder join a copy of afdcd by what CONTRIBUTING.md says, and by nothing else."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SPACE = """
data: {dataset: synthetic, crop: [64, 64]}
pair:
  student: {head: pspnet, encoder: STUDENT}
  teacher:
    model: {head: pspnet, encoder: "timm:resnet10t"}
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

    def python(self, *words: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(self.folder)}
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

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
    copy.edit(
        "afdcd/distillers/configs/__init__.py",
        (
            "from afdcd.distillers.configs.kd import",
            "from afdcd.distillers.configs.attention import AttentionConfig\n"
            "from afdcd.distillers.configs.kd import",
        ),
        ("NoneConfig | KDConfig |", "NoneConfig | AttentionConfig | KDConfig |"),
    )
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
