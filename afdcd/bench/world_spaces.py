"""The search spaces of made-up problems: of real configurations, so that the real study can search them."""

from typing import Any

from afdcd.bench.curves import VALIDATIONS
from afdcd.config import Source
from afdcd.search.space import parse_ranges

ENCODERS = ("timm:lcnet_050", "timm:lcnet_075", "timm:lcnet_100", "timm:lcnet_150")  # a pair each
LOG = {"log": [0.01, 1.0]}
# What is searched of each method: numbers first. Those beyond the first three are of world "many".
METHODS: dict[str, dict[str, Any]] = {
    "none": {"method": "none"},
    "kd": {"method": "kd", "weight": LOG, "temperature": {"uniform": [1.0, 4.0]}},
    "afdcd": {
        "method": "afdcd",
        **dict.fromkeys(("kd_weight", "fd_weight", "contrast_weight", "tau"), LOG),
        "mask_ratio": {"uniform": [0.3, 0.9]},
        "groups": {"choice": [8, 16, 32]},
        "patch": {"choice": [1, 2, 4]},
        "mask": {"choice": ["random", "centre"]},
        "projector": {"choice": ["plain", "enhanced"]},
    },
    "fd": {"method": "mgd", "kd_weight": LOG, "fd_weight": LOG},
    "fd of three": {
        "method": "mgd",
        **dict.fromkeys(("kd_weight", "fd_weight", "temperature"), LOG),
        "mask": {"choice": ["random", "centre"]},
    },
    "contrast": {
        "method": "afdcd",
        "design": "spatial",
        **dict.fromkeys(("kd_weight", "contrast_weight", "tau", "temperature"), LOG),
        "patch": {"choice": [1, 2, 4]},
    },
    "channels": {
        "method": "afdcd",
        "design": "channel",
        "contrast_weight": LOG,
        "tau": LOG,
        "mask": {"choice": ["random", "centre"]},
        "groups": {"choice": [8, 16, 32]},
    },
    "hard labels": {"method": "kd", "temperature": 1.0, "weight": LOG},
    "wide": {
        "method": "afdcd",
        "weights": "portable",
        **dict.fromkeys(("kd_weight", "fd_weight", "contrast_weight", "tau"), LOG),
        "mask_ratio": {"uniform": [0.3, 0.9]},
        "projector": {"choice": ["plain", "enhanced"]},
    },
}


def space_of(methods: tuple[str, ...], pairs: int) -> dict[str, Any]:
    space = plain_space({"choice": [METHODS[name] for name in methods]}, lr=0.01)
    if pairs > 1:
        teacher = space["pair"]["teacher"]
        students = [{"head": "pspnet", "encoder": encoder} for encoder in ENCODERS[:pairs]]
        choice = [{"name": s["encoder"], "student": s, "teacher": teacher} for s in students]
        space["pair"] = parse_ranges({"choice": choice}, Source())
    return space


def plain_space(distiller: Any, lr: Any) -> dict[str, Any]:
    values = {
        "data": {"dataset": "synthetic", "root": "x", "protocol": "dev", "crop": [64, 64]},
        "pair": {
            "student": {"head": "pspnet", "encoder": ENCODERS[0]},
            "teacher": {"weights": "t.safetensors"},
        },
        "training": {"iterations": VALIDATIONS, "validate_every": 1, "lr": lr},
        "distiller": distiller,
    }
    space: dict[str, Any] = parse_ranges(values, Source())
    return space
