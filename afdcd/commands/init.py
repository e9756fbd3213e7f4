"""Write a search space for a data set and a machine, and tell what it will cost."""

import argparse
import math
import statistics
from dataclasses import dataclass
from pathlib import Path

from afdcd.commands.plan import tell
from afdcd.config import UserError
from afdcd.data.catalog.datasets import UNLABELLED
from afdcd.data.shards.manifest import Manifest, read_manifest
from afdcd.data.shards.rows import Rows, open_split
from afdcd.search.load import read_space
from afdcd.search.networks import check_networks
from afdcd.search.plan.devices import Machine, machine_of, this_machine
from afdcd.space_files import space_path, write_new
from afdcd.text import percent

_TEMPLATE = "custom"
_SAMPLED = 200  # rows whose size is looked at
_MULTIPLE = 8  # strides of the networks divide it
_POINTS = 20  # validations of a run
_FEW = 20  # trials of a GPU
# The settings published for crops of 512x1024, whose maps are pooled by 4, and for crops of 360x360.
_LARGE, _SMALL, _POOLED = "cityscapes-deeplabv3-resnet18", "camvid-deeplabv3-resnet18", 384


@dataclass(frozen=True)
class Begin:
    """What to begin with.

    Attributes:
        crop: (height, width) in pixels.
        validate_every: iterations between two validations.
    """

    crop: tuple[int, int]
    batch: int
    iterations: int
    validate_every: int
    lr: float
    cpus: int
    trials: int
    seeds: int
    scale: tuple[float, float]


def execute(args: argparse.Namespace) -> int:
    """Write the file and print its plan; the exit status is the plan's."""
    manifest = read_manifest(args.data)
    rows = _train(args.data, manifest)
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


def _train(root: str, manifest: Manifest) -> Rows:
    return open_split(root, manifest.dataset, "dev", "train")


def beginning(rows: Rows, machine: Machine) -> Begin:
    """Sensible sizes: a hundred epochs on a GPU; on a CPU what can be tried in minutes."""
    labelled = len(rows) - len(rows.unlabelled)
    is_gpu = machine.device.is_gpu
    batch = min(16 if is_gpu else 4, 1 << max(1, int(math.log2(max(2, labelled)))))
    epochs, least, most = (100, 2000, 40_000) if is_gpu else (20, 100, 400)
    wanted = min(most, max(least, epochs * labelled // batch))
    every = max(1, round(wanted / (_POINTS if is_gpu else 4)))
    return Begin(
        crop=_crop(rows, 512 if is_gpu else 128),
        batch=batch,
        iterations=every * (_POINTS if is_gpu else 4),
        validate_every=every,
        lr=0.02 if is_gpu else 0.05,
        cpus=4 if is_gpu else 1,
        trials=_FEW if is_gpu else 6,
        seeds=5 if is_gpu else 3,
        scale=(0.5, 2.0) if is_gpu else (0.5, 1.25),
    )


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
        f"batch: {begin.batch}, lr: {begin.lr}}}"
    )
    old = "{iterations: 20000, validate_every: 1000, batch: 16, lr: 0.02}"
    lines = {
        "  dataset: custom ": f"  dataset: {manifest.dataset} ",
        "  root: DATA ": f"  root: {_quoted(_absolute(args.data))} ",
        "  crop: [512, 512]": f"  crop: {list(begin.crop)}",
        "  scale: [0.5, 2.0]": f"  scale: {list(begin.scale)}",
        "  loader_workers: 4": f"  loader_workers: {begin.cpus if begin.cpus > 1 else 0}",
        "  student: {head: pspnet, encoder: resnet18}": f"  student: {network(args.student, '--student')}",
        "    model: {head: deeplabv3, encoder: resnet101}\n    train: " + old: _teacher(
            args.teacher, recipe
        ),
        "training: " + old: f"training: {_student_recipe(recipe, manifest)}",
        "cpus_per_worker: 4": f"cpus_per_worker: {begin.cpus}",
        "  trials: 20": f"  trials: {begin.trials}",
        "proof: {seeds: 5}": f"proof: {{seeds: {begin.seeds}}}",
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
        return f"    weights: {_quoted(text)}"
    return f"    model: {network(text, '--teacher')}\n    train: {recipe}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
