"""fp64 numbers of the authors' implementations; the .json beside them say which and how."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

FOLDER = Path(__file__).parent
TOLERANCE = {"rtol": 1e-9, "atol": 1e-9}


@cache
def afdcd_cases() -> dict[str, dict[str, Any]]:
    """Settings of each case of OSVAI/Af-DCD@5b086a7 losses/ocmgd.py, by name."""
    cases = json.loads((FOLDER / "afdcd_golden.json").read_text())["cases"]
    return {case["name"]: case for case in cases}


def afdcd(case: str) -> dict[str, Tensor]:
    return _tensors("afdcd_golden.npz", case)


def others(case: str) -> dict[str, Tensor]:
    return _tensors("others_golden.npz", case)


def rivals(case: str) -> dict[str, Tensor]:
    return _tensors("rivals2_golden.npz", case)


@cache
def _records() -> dict[str, Any]:
    return json.loads((FOLDER / "rivals2_golden.json").read_text())["cases"]


def record(case: str) -> dict[str, Any]:
    """What the .json says of one of `rivals`."""
    return _records()[case]


def _tensors(name: str, case: str) -> dict[str, Tensor]:
    with np.load(FOLDER / name, allow_pickle=False) as arrays:
        keys = [key for key in arrays.files if key.startswith(f"{case}/")]
        return {key.removeprefix(f"{case}/"): torch.as_tensor(arrays[key]) for key in keys}
