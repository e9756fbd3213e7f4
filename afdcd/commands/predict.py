"""Show pictures to a network and write what it says of them."""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from PIL import Image

from afdcd.config import UserError
from afdcd.data.images import PictureError, decode, to_rgb
from afdcd.models.weights import load_network
from afdcd.tasks.device import choose_device
from afdcd.tasks.names import task_of
from afdcd.tasks.normalisation import known
from afdcd.tasks.options import SUFFIXES, inference_of
from afdcd.tracking.registry import fetch

JPEG_QUALITY = 92


def execute(args: argparse.Namespace) -> int:
    """Draw for every picture; the exit status, 1 if some could not be."""
    inference, device = inference_of(args), choose_device(args.device)
    network, card = load_network(fetch(args.model))
    task = task_of(args.model, card.task)
    if not task.draws:
        raise UserError(f"{args.model}: networks of task {task.name} draw nothing")
    known(card.normalisation, args.model)
    pictures = find_pictures(args.images, args.out, task.draws)
    network.to(device).eval()
    failed = 0
    started = time.monotonic()
    for source, stem in pictures.items():
        try:
            image = to_rgb(decode(source.read_bytes()))
            drawn = task.draw(network, card, image, device, inference, args.alpha)
        except (OSError, PictureError, torch.OutOfMemoryError) as error:
            failed += 1
            print(f"error: {source}: {_reason(error)}", file=sys.stderr)
        else:
            print("  ".join(_write(_targets(args.out, stem, task.draws), drawn)))
    done = len(pictures) - failed
    rate = done / (time.monotonic() - started)
    print(f"{done} of {len(pictures)} images labelled, {rate:.1f} images/s on {device}")
    return 1 if failed else 0


def find_pictures(given: Sequence[Path], out: Path, endings: Sequence[str]) -> dict[Path, Path]:
    """Pictures to read, each with the path under `out` (without suffix) of what it becomes.

    Sub-folders are kept below the deepest folder that all that is given shares. Pictures that
    differ in nothing but the suffix keep it: `a.jpg.png`, `a.png.png`. An `out` inside a folder
    is not searched, so that a second run does not label the results of the first.

    Raises:
        UserError: no picture, or a result that would lie among or upon the pictures.
    """
    out = out.resolve()
    sources = {file: shown for path in given for file, shown in _search(path, out)}
    if not sources:
        searched = ", ".join(str(path) for path in given)
        raise UserError(f"{searched}: no pictures found; expected {', '.join(SUFFIXES)} files")
    folders = [path.resolve() for path in given if path.is_dir()]
    base = os.path.commonpath(
        [*folders, *(path.parent.resolve() for path in given if not path.is_dir())]
    )
    twins = Counter(file.with_suffix("") for file in sources)
    stems = {
        file: (file if twins[file.with_suffix("")] > 1 else file.with_suffix("")).relative_to(base)
        for file in sources
    }
    _keep_apart(stems, out, endings, searched_again=[f for f in folders if f not in out.parents])
    return {sources[file]: stem for file, stem in stems.items()}


def _search(path: Path, out: Path) -> Iterator[tuple[Path, Path]]:
    """Absolute path, and path as the person would write it, of each picture in `path`."""
    if not path.is_dir():
        # The parent alone is resolved: a link to a picture keeps its own name.
        yield path.parent.resolve() / path.name, path
        return
    folder = path.resolve()
    for file in sorted(folder.rglob("*")):
        own = folder in out.parents and out in file.parents
        if file.suffix.lower() in SUFFIXES and file.is_file() and not own:
            yield file, path / file.relative_to(folder)


def _keep_apart(
    stems: Mapping[Path, Path], out: Path, endings: Sequence[str], searched_again: Sequence[Path]
) -> None:
    taken = set(stems)
    for stem in stems.values():
        for target in _targets(out, stem, endings):
            if target in taken or any(folder in target.parents for folder in searched_again):
                raise UserError(f"{target} would lie among the pictures; choose another --out")
            taken.add(target)


def _targets(out: Path, stem: Path, endings: Sequence[str]) -> list[Path]:
    return [out / f"{stem}{ending}" for ending in endings]


def _reason(error: Exception) -> str:
    if isinstance(error, torch.OutOfMemoryError):
        return "too large for the memory of the device: use --window or --device cpu"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error)


def _write(targets: Sequence[Path], drawn: Sequence[Image.Image]) -> list[str]:
    for target, picture in zip(targets, drawn, strict=True):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            picture.save(target, quality=JPEG_QUALITY)
        except OSError as error:
            raise UserError(f"{error.filename or target}: cannot be written: {error}") from None
    return [str(target) for target in targets]
