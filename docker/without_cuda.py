"""Split a lock for the cpu image: `without_cuda.py LOCK INDEX` writes hashed.txt and from_index.txt.

With an index of CPU wheels, torch and torchvision come from there, and what only CUDA needs is left
out. Without one everything stays hashed, and torch is the one of PyPI, CUDA libraries and all.
"""

import re
import sys
from pathlib import Path

FROM_INDEX = ("torch", "torchvision")
FOR_CUDA = ("cuda-", "nvidia-", "triton")


def split(lock: str, index: str) -> tuple[str, str]:
    """The entries that keep their hashes, and the pins of those that come from the index."""
    entries = re.findall(r"^\S.*(?:\n[ ]+.*)*", lock, re.MULTILINE)
    if not index:
        return "\n".join(entries) + "\n", ""
    names = {entry: re.split(r"[=\[ ]", entry, maxsplit=1)[0] for entry in entries}
    hashed = [e for e, name in names.items() if not _is_of_the_index(name)]
    pins = [re.split(r"[ \\]", e, maxsplit=1)[0] for e, name in names.items() if name in FROM_INDEX]
    return "\n".join(hashed) + "\n", "\n".join(pins) + "\n"


def _is_of_the_index(name: str) -> bool:
    return name in FROM_INDEX or name.startswith(FOR_CUDA)


if __name__ == "__main__":
    hashed, pinned = split(Path(sys.argv[1]).read_text(), sys.argv[2])
    Path("hashed.txt").write_text(hashed)
    Path("from_index.txt").write_text(pinned)
