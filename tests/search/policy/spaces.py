"""Search spaces of every shape, for tests of the samplers."""

from typing import Any

from afdcd.config import Source
from afdcd.search.space import parse_ranges

LOG, FLAT = {"log": [0.01, 1.0]}, {"uniform": [1.0, 4.0]}
METHODS = {
    "choice": [
        {"method": "none"},
        {"method": "kd", "weight": LOG, "temperature": FLAT},
        {"method": "mgd", "mask": {"choice": ["random", "centre"]}, "kd_weight": LOG},
    ]
}
PAIRS = {"choice": [{"name": "small", "student": 1}, {"name": "large", "student": 2}]}
NESTED = {"a": {"choice": [{"kind": "x", "n": {"int": [2, 8], "step": 3}}, {"kind": "y"}]}}
SPACES: dict[str, dict[str, Any]] = {
    "methods and pairs": {"pair": PAIRS, "distiller": METHODS},
    "shared": {"distiller": METHODS, "training": {"lr": LOG, "batch": {"choice": [4, 8]}}},
    "no methods": {"training": {"lr": LOG}, "distiller": {"method": "kd", "weight": LOG}},
    "choices": {"training": {"lr": {"choice": [0.1, 0.2]}}, "pair": PAIRS},
    "nested": NESTED,
    "one point": {"training": {"lr": {"choice": [0.1]}}},
}


def space(name: str) -> Any:
    return parse_ranges(SPACES[name], Source())
