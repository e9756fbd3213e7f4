"""Show pictures to a network and write what it says of them."""

import argparse
import errno
import io
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from PIL import Image

from afdcd.commands.pictures import find_pictures, targets
from afdcd.config import UserError
from afdcd.data.images import JPEG_LONGEST, PictureError, decode, to_rgb
from afdcd.data.viewed import notes, orientation, turned
from afdcd.models.weights import load_network
from afdcd.tasks.device import choose_device, ran_out_of_memory
from afdcd.tasks.names import task_of
from afdcd.tasks.normalisation import known
from afdcd.tasks.options import inference_of
from afdcd.tasks.pictures import Picture
from afdcd.text import printable
from afdcd.tracking.registry import fetch

JPEG_QUALITY = 92
# What the next picture would meet too.
_ENDS_THE_RUN = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)

Draw = Callable[[Picture], Sequence[Image.Image]]


def execute(args: argparse.Namespace) -> int:
    """Draw for every picture; the exit status, 1 if some could not be."""
    inference, device = inference_of(args), choose_device(args.device)
    network, card = load_network(fetch(args.model))
    task = task_of(args.model, card.task)
    if not task.draws:
        raise UserError(f"{args.model}: networks of task {task.name} draw nothing")
    known(card.normalisation, args.model)
    found = find_pictures(args.images, args.out, task.draws)
    _make(args.out)
    for folder, reason in found.closed.items():
        _say("error", folder, f"cannot be listed: {reason.lower()}")
    network.to(device).eval()

    def draw(picture: Picture) -> Sequence[Image.Image]:
        return task.draw(network, card, picture, device, inference, args.alpha)

    started = time.monotonic()
    done = sum(
        _label(source, targets(args.out, stem, task.draws), draw, device)
        for source, stem in found.stems.items()
    )
    rate = done / (time.monotonic() - started)
    if found.passed_over:
        print(f"note: passed over, as no pictures: {printable(found.others)}", file=sys.stderr)
    print(f"{done} of {len(found.stems)} images labelled, {rate:.1f} images/s on {device}")
    return 0 if done == len(found.stems) and not found.closed else 1


def _label(source: Path, files: Sequence[Path], draw: Draw, device: torch.device) -> bool:
    """Whether all that the task draws of `source` was written; if not, it was said why."""
    try:
        image = decode(source.read_bytes())
        picture = turned(to_rgb(image), orientation(image))
        for note in notes(image):
            _say("note", source, note)
        drawn = _drawn(picture, draw, device)
    except (OSError, PictureError, MemoryError) as error:
        _say("error", source, _reason(error))
        return False
    return _write(source, files, drawn)


def _drawn(picture: Picture, draw: Draw, device: torch.device) -> Sequence[Image.Image]:
    try:
        return draw(picture)
    except (MemoryError, RuntimeError) as error:
        if not ran_out_of_memory(error):
            raise
        height, width = picture.shape[:2]
        other = "" if device.type == "cpu" else ", or --device cpu"
        raise PictureError(
            f"{width}x{height} pixels, too large for the memory of {device}: use --window, or scale "
            f"it down{other}"
        ) from None


def _reason(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "too large for this machine's memory: scale it down"
    return error.strerror.lower() if isinstance(error, OSError) and error.strerror else str(error)


def _write(source: Path, files: Sequence[Path], drawn: Sequence[Image.Image]) -> bool:
    written = []
    for file, picture in zip(files, drawn, strict=True):
        if file.suffix == ".jpg" and max(picture.size) > JPEG_LONGEST:
            size = f"{picture.width}x{picture.height}"
            _say("note", source, f"no {file.name}: {size} pixels, a JPEG has {JPEG_LONGEST} a side")
            continue
        try:
            _write_whole(file, picture)
        except (OSError, MemoryError) as error:
            if isinstance(error, OSError) and error.errno in _ENDS_THE_RUN:
                raise _unwritable(file, error) from None
            _say("error", source, f"{printable(file)} cannot be written: {_reason(error)}")
            return False
        written.append(printable(file))
    print("  ".join(written))
    return True


def _write_whole(file: Path, picture: Image.Image) -> None:
    """The file appears whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    data = io.BytesIO()
    picture.save(data, Image.registered_extensions()[file.suffix], quality=JPEG_QUALITY)
    # A short name, for the result's own may be as long as names can be.
    draft = file.with_name(f".{os.getpid()}.tmp")
    try:
        draft.write_bytes(data.getbuffer())
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from None


def _unwritable(place: Path, error: OSError) -> UserError:
    return UserError(f"{place}: cannot be written: {_reason(error)}; choose another --out")


def _say(kind: str, source: Path, what: str) -> None:
    print(f"{kind}: {printable(source)}: {what}", file=sys.stderr)
