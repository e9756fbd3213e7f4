"""Every random number is a function of (seed, purpose, position): nothing to save, nothing to restore.

A run that is killed and resumed, or split over other workers, therefore draws the same numbers.
"""

import hashlib


def derive(seed: int, *names: str | int) -> int:
    """A 63-bit seed for one purpose, e.g. `derive(config.seed, "crop", iteration, index)`."""
    text = "/".join(str(name) for name in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
