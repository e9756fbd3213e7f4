"""How the runs of made-up problems learn: what is still missing at each validation, and noise."""

import math

import numpy as np

from afdcd.search.policy.points import Array

VALIDATIONS = 20  # of a run; one iteration each
SHARES = np.arange(1, VALIDATIONS + 1) / VALIDATIONS
SEED_NOISE = 0.4  # points between two seeds


def drop(curve: str, factor: float) -> Array:
    """How far below its final score a run is at each validation."""
    t = SHARES
    drops = {
        "power": 5 * ((t + 0.02) ** -0.5 - 1.02**-0.5),
        "exp": 30 * (np.exp(-5 * t) - math.exp(-5)),
        "sigmoid": 30 / (1 + np.exp((t - 0.25) / 0.08)),
        "late": 6 * (1 - t) ** 0.7 + 20 * np.exp(-8 * t),
        "peak": 25 * np.exp(-9 * t)
        - 2 / factor**3 * np.sin(math.pi * np.clip((t - 0.2) / 0.8, 0, 1)),
    }
    return factor * drops[curve]
