"""Label pictures with a network."""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from afdcd.config import UserError
from afdcd.data.images import PictureError, decode, to_rgb
from afdcd.data.train.config import Normalisation
from afdcd.data.train.transforms import normalise
from afdcd.models.weights import NetworkCard, load_network
from afdcd.tasks.device import choose_device
from afdcd.tasks.inference import InferenceConfig, predict_labels
from afdcd.tasks.names import check_label_maps
from afdcd.tasks.normalisation import known
from afdcd.tasks.options import SUFFIXES, inference_of
from afdcd.tasks.pictures import LabelMap, Picture, mask, overlay
from afdcd.tracking.registry import fetch

OVERLAY_QUALITY = 92


def execute(args: argparse.Namespace) -> int:
    """Label every picture; the exit status, 1 if some could not be."""
    inference = inference_of(args)
    pictures = find_pictures(args.images, args.out)
    device = choose_device(args.device)
    network, card = load_network(fetch(args.model))
    check_label_maps(card.task, args.model)
    normalisation = known(card.normalisation, args.model)
    network.to(device).eval()
    failed = 0
    started = time.monotonic()
    for source, stem in pictures.items():
        try:
            image = to_rgb(decode(source.read_bytes()))
            labels = _label(network, image, normalisation, device, inference)
        except (OSError, PictureError, torch.OutOfMemoryError) as error:
            failed += 1
            print(f"error: {source}: {_reason(error)}", file=sys.stderr)
        else:
            print("  ".join(_write(_targets(args.out, stem), image, labels, card, args.alpha)))
    done = len(pictures) - failed
    rate = done / (time.monotonic() - started)
    print(f"{done} of {len(pictures)} images labelled, {rate:.1f} images/s on {device}")
    return 1 if failed else 0


def find_pictures(given: Sequence[Path], out: Path) -> dict[Path, Path]:
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
    _keep_apart(stems, out, searched_again=[f for f in folders if f not in out.parents])
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


def _keep_apart(stems: Mapping[Path, Path], out: Path, searched_again: Sequence[Path]) -> None:
    taken = set(stems)
    for stem in stems.values():
        for target in _targets(out, stem):
            if target in taken or any(folder in target.parents for folder in searched_again):
                raise UserError(f"{target} would lie among the pictures; choose another --out")
            taken.add(target)


def _targets(out: Path, stem: Path) -> tuple[Path, Path]:
    return out / f"{stem}.png", out / f"{stem}_overlay.jpg"


def _label(
    network: nn.Module,
    image: Picture,
    normalisation: Normalisation,
    device: torch.device,
    inference: InferenceConfig,
) -> LabelMap:
    pixels = normalise(image, normalisation)[None].to(device)
    with torch.inference_mode():
        return predict_labels(network, pixels, image.shape[:2], inference)[0].cpu().numpy()


def _reason(error: Exception) -> str:
    if isinstance(error, torch.OutOfMemoryError):
        return "too large for the memory of the device: use --window or --device cpu"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error)


def _write(
    targets: tuple[Path, Path], image: Picture, labels: LabelMap, card: NetworkCard, alpha: float
) -> list[str]:
    mask_path, overlay_path = targets
    try:
        mask_path.parent.mkdir(parents=True, exist_ok=True)
        mask(labels, card.palette).save(mask_path)
        overlay(image, labels, card.palette, alpha).save(overlay_path, quality=OVERLAY_QUALITY)
    except OSError as error:
        raise UserError(f"{error.filename or mask_path}: cannot be written: {error}") from None
    return [str(mask_path), str(overlay_path)]
