"""Write a search space for a data set and a machine, and tell what it will cost."""

import argparse
import math
import statistics
from dataclasses import dataclass
from pathlib import Path

from afdcd.commands.plan import tell
from afdcd.config import UserError
from afdcd.data.catalog.splits import UNLABELLED
from afdcd.data.shards.manifest import Manifest, read_manifest
from afdcd.data.shards.rows import Rows, open_split
from afdcd.search.load import read_space
from afdcd.search.networks import check_networks
from afdcd.search.plan.devices import Machine, machine_of, this_machine
from afdcd.space_files import space_path, write_new
from afdcd.text import percent
from afdcd.yaml_text import quoted

_TEMPLATE = "custom"
_SAMPLED = 200  # rows whose size is looked at
_MULTIPLE = 8  # strides of the networks divide it
# The settings published for crops of 512x1024, whose maps are pooled by 4, and for crops of 360x360.
_LARGE, _SMALL, _POOLED = "cityscapes-deeplabv3-resnet18", "camvid-deeplabv3-resnet18", 384


@dataclass(frozen=True)
class Kind:
    """What suits a kind of machine, whatever the data set.

    Attributes:
        side: longest side of a crop in pixels.
        epochs: over the labelled pictures of train, between `least` and `most` iterations.
        validations: of a run.
    """

    side: int
    batch: int
    epochs: int
    least: int
    most: int
    validations: int
    lr: float
    cpus: int
    trials: int
    seeds: int
    scale: tuple[float, float]


GPU = Kind(512, 16, 100, 2000, 40_000, 20, 0.02, 4, 20, 5, (0.5, 2.0))
CPU = Kind(128, 4, 20, 100, 400, 4, 0.05, 1, 6, 3, (0.5, 1.25))  # what can be tried in minutes


@dataclass(frozen=True)
class Begin:
    """What to begin with, for a data set and a kind of machine.

    Attributes:
        crop: (height, width) in pixels.
        validate_every: iterations between two validations.
    """

    kind: Kind
    crop: tuple[int, int]
    batch: int
    iterations: int
    validate_every: int


def execute(args: argparse.Namespace) -> int:
    """Write the file and print its plan; the exit status is the plan's."""
    manifest = read_manifest(args.data)
    rows = open_split(args.data, manifest.dataset, "dev", "train")
    machine = machine_of(args.cluster) if args.cluster else this_machine()
    out = args.out or Path(f"{manifest.dataset}.yaml")
    begin = beginning(rows, machine)
    write_new(out, written(args, manifest, begin))
    try:
        space = read_space(str(out), [])
        check_networks(space)
    except UserError:
        out.unlink()  # it names what --student or --teacher said
        raise
    print(f"wrote {out}: crop {begin.crop[0]}x{begin.crop[1]}, {begin.iterations} iterations of "
          f"{begin.batch} images, {len(manifest.classes)} classes")  # fmt: skip
    return tell(space, args.cluster, measure=False)


def beginning(rows: Rows, machine: Machine) -> Begin:
    """Sensible sizes for a set of so many and so large pictures."""
    kind = GPU if machine.device.is_gpu else CPU
    labelled = len(rows) - len(rows.unlabelled)
    batch = min(kind.batch, 1 << max(1, int(math.log2(max(2, labelled)))))
    wanted = min(kind.most, max(kind.least, kind.epochs * labelled // batch))
    every = max(1, round(wanted / kind.validations))
    return Begin(kind, _crop(rows, kind.side), batch, every * kind.validations, every)


def _crop(rows: Rows, most: int) -> tuple[int, int]:
    """The median picture, its longer side at most `most`, in multiples that suit every network."""
    step = max(1, len(rows) // _SAMPLED)
    sizes = [rows.size(index) for index in range(0, len(rows), step)]
    height, width = (statistics.median(side) for side in zip(*sizes, strict=True))
    return _side(height, most), _side(width, most)


def _side(pixels: float, most: int) -> int:
    return max(32, int(min(pixels, most)) // _MULTIPLE * _MULTIPLE)


def written(args: argparse.Namespace, manifest: Manifest, begin: Begin) -> str:
    """The template with the lines of this set and this machine in place of its own."""
    text = space_path(_TEMPLATE).read_text(encoding="utf-8")
    body = text[text.index("\ndata:") :]
    recipe = (
        f"{{iterations: {begin.iterations}, validate_every: {begin.validate_every}, "
        f"batch: {begin.batch}, lr: {begin.kind.lr}}}"
    )
    old = "{iterations: 20000, validate_every: 1000, batch: 16, lr: 0.02}"
    lines = {
        "  dataset: custom ": f"  dataset: {manifest.dataset} ",
        "  root: DATA ": f"  root: {quoted(_absolute(args.data))} ",
        "  crop: [512, 512]": f"  crop: {list(begin.crop)}",
        "  scale: [0.5, 2.0]": f"  scale: {list(begin.kind.scale)}",
        "  loader_workers: 4": f"  loader_workers: {begin.kind.cpus if begin.kind.cpus > 1 else 0}",
        "  student: {head: pspnet, encoder: resnet18}": f"  student: {network(args.student, '--student')}",
        "    model: {head: deeplabv3, encoder: resnet101}\n    train: " + old: _teacher(
            args.teacher, recipe
        ),
        "training: " + old: f"training: {_student_recipe(recipe, manifest)}",
        "cpus_per_worker: 4": f"cpus_per_worker: {begin.kind.cpus}",
        "  trials: 20": f"  trials: {begin.kind.trials}",
        "proof: {seeds: 5}": f"proof: {{seeds: {begin.kind.seeds}}}",
        _LARGE: _LARGE if min(begin.crop) >= _POOLED else _SMALL,
    }
    for before, after in lines.items():
        if before not in body:
            raise RuntimeError(f"search_spaces/{_TEMPLATE}.yaml lacks the line {before!r}")
        body = body.replace(before, after)
    return _heading(manifest) + body


def _heading(manifest: Manifest) -> str:
    pixels = manifest.pixels["train"]
    shares = [
        f"#   {name:24} {percent(count / max(1, sum(pixels)))}"
        for name, count in zip(manifest.classes, pixels, strict=False)
    ]
    counts = ", ".join(f"{split} {manifest.rows(split)}" for split in ("train", "val", "test"))
    return "\n".join(
        [f"# {manifest.dataset}: {counts} pictures; share of each class in train:", *shares, ""]
    )


def network(text: str, option: str) -> str:
    """`HEAD/ENCODER` as a block of YAML."""
    head, slash, encoder = text.partition("/")
    if not (head and slash and encoder):
        raise UserError(f"{option} {text!r}: expected HEAD/ENCODER, e.g. pspnet/resnet18")
    return f'{{head: {head}, encoder: "{encoder}"}}'


def _student_recipe(recipe: str, manifest: Manifest) -> str:
    """How much unlabelled pictures help, the search finds out."""
    if not manifest.rows(UNLABELLED):
        return recipe
    return f"{recipe[:-1]}, unlabelled_share: {{uniform: [0.0, 0.75]}}}}"


def _absolute(root: str) -> str:
    """A job may start in another folder."""
    return root if "://" in root else str(Path(root).absolute())


def _teacher(text: str, recipe: str) -> str:
    """A network to train, or weights that exist."""
    if text.startswith("models:/") or text.endswith(".safetensors") or Path(text).is_file():
        return f"    weights: {quoted(text)}"
    return f"    model: {network(text, '--teacher')}\n    train: {recipe}"
