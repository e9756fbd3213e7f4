"""Which checkpoint a run goes on from, whatever a crash has left of its folder.

Ray Train remembers its checkpoints in a file that it writes in place. A kill in the middle of that
leaves a file with which no later attempt would start. Each checkpoint says itself whether it is
whole, so the checkpoints are asked, and Ray Train begins each attempt without a memory.
"""

import json
import logging
import re

from afdcd import storage
from afdcd.text import first_line

TRAIN = "train"  # where Ray Train keeps a run's checkpoints, in the folder of the job
MEMORY = "checkpoint_manager_snapshot.json"  # Ray Train's own file in there
NAME = "iteration_{:06d}"  # of a checkpoint's folder, after a validation
# Of one that was saved because a node was drained. It has a name of its own, since it may be of an
# iteration whose validation is still to come, and that must not be written over it.
DRAINED = "drained_{:06d}"
HEADER, TENSORS = "state.json", "state.safetensors"  # what is in it


def newest_checkpoint(folder: str) -> str | None:
    """The newest whole checkpoint of the run in `folder` (path or URI); None if there is none.

    Only that one is left there: damaged ones are of no use, and older ones of no more.

    Raises:
        OSError, UserError: the store cannot be read now; nothing is known to be damaged then.
    """
    place = storage.join(folder, TRAIN)
    storage.remove(storage.join(place, MEMORY))
    names = {file.partition("/")[0] for file in storage.walk(place)}
    found: str | None = None
    for name in sorted(filter(_is_checkpoint, names), key=_age, reverse=True):
        checkpoint = storage.join(place, name)
        if found is None and (damage := damage_of(checkpoint)) is None:
            found = checkpoint
            continue
        if found is None:
            logging.getLogger(__name__).warning(
                "%s: removed, it is damaged: %s", checkpoint, damage
            )
        storage.remove_folder(checkpoint)
    return found


def newest_iteration(folder: str) -> int:
    """Of the newest checkpoint of the run in `folder` that has its files; 0 if there is none.

    Raises:
        OSError, UserError: the store cannot be read now.
    """
    files = set(storage.walk(storage.join(folder, TRAIN)))
    names = {file.partition("/")[0] for file in files}
    there = [n for n in names if {f"{n}/{HEADER}", f"{n}/{TENSORS}"} <= files]
    return max(map(_iteration, filter(_is_checkpoint, there)), default=0)


def damage_of(checkpoint: str) -> str | None:
    """What is wrong with the files of a checkpoint; None if it is whole.

    Whether it is of this run and version is not asked: a person may still want one that is not.
    """
    try:
        header = json.loads(storage.read_bytes(storage.join(checkpoint, HEADER)))
        digest = storage.sha256(storage.join(checkpoint, TENSORS))
    except (FileNotFoundError, ValueError) as error:  # cut JSON, or a file without content
        return first_line(error)
    expected = header.get("sha256", digest) if isinstance(header, dict) else digest
    return None if digest == expected else f"sha256 of {TENSORS} differs"


def _is_checkpoint(name: str) -> bool:
    return re.fullmatch(r"(iteration|drained)_\d+", name) is not None


def _iteration(name: str) -> int:
    return int(name.rpartition("_")[2])


def _age(name: str) -> tuple[int, bool]:
    """Grows with what lies behind a checkpoint; a validation comes after its last iteration."""
    return _iteration(name), name == NAME.format(_iteration(name))
