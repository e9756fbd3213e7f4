"""Prepare a data set: check every raw file, write Parquet shards and a manifest; or show one.

examples:
  python -m afdcd.prepare synthetic --out data/synthetic
  python -m afdcd.prepare camvid --source raw/CamVid --out s3://bucket/camvid --jpeg-quality 95
  python -m afdcd.prepare show data/synthetic --out sheet.png
"""

import argparse
import io
import sys
import time
from pathlib import Path

from afdcd import storage
from afdcd.cli import run
from afdcd.config import Source, UserError, validate
from afdcd.data.build import BuildOptions, build
from afdcd.data.catalog import SPLITS, Dataset, dataset_named
from afdcd.data.convert import FINDERS
from afdcd.data.manifest import Manifest, is_prepared, read_manifest
from afdcd.data.shards import check_shards
from afdcd.data.sheet import contact_sheet
from afdcd.data.synthetic import SyntheticConfig, prepare_synthetic


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    if arguments.command == "show":
        return _show(arguments.root, arguments.out)
    if is_prepared(arguments.out):
        raise UserError(f"{arguments.out}: holds a prepared data set; remove it or choose another")
    if arguments.command == "synthetic":
        return _prepare_synthetic(arguments)
    return _prepare_raw(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m afdcd.prepare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in FINDERS:
        raw = commands.add_parser(name, help=f"{name} from its published folders")
        raw.add_argument("--source", required=True, type=Path, help="folder as downloaded")
        raw.add_argument("--out", required=True, help="folder or URI to write to")
        raw.add_argument("--jpeg-quality", type=int, metavar="N", help="re-encode images, 4:4:4")
        raw.add_argument("--shards", type=int, metavar="N", help="per split; default 64 MiB each")
        raw.add_argument("--skip-bad", action="store_true", help="leave unusable files out")
        raw.add_argument("--strict", action="store_true", help="refuse another number of images")
    synthetic = commands.add_parser("synthetic", help="rendered street scenes, no download")
    synthetic.add_argument("--out", required=True, help="folder or URI to write to")
    for name, info in SyntheticConfig.model_fields.items():
        synthetic.add_argument(
            f"--{name}", type=int, default=info.default, metavar="N", help="default %(default)s"
        )
    show = commands.add_parser("show", help="counts, class shares, and a contact sheet")
    show.add_argument("root", help="folder or URI of a prepared data set")
    show.add_argument("--out", required=True, help="PNG file or URI to write")
    return parser


class _Progress:
    """One line on stderr, rewritten while it is a terminal."""

    def __init__(self) -> None:
        self._start, self._done, self._shown = time.monotonic(), 0, 0.0

    def __call__(self, images: int) -> None:
        self._done += images
        if sys.stderr.isatty() and time.monotonic() - self._shown > 0.2:
            self._shown = time.monotonic()
            print(f"\r{self.line()}", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        print(f"\r{self.line()}" if sys.stderr.isatty() else self.line(), file=sys.stderr)

    def line(self) -> str:
        rate = self._done / max(time.monotonic() - self._start, 1e-9)
        return f"{self._done} images, {rate:.1f} images/s"


def _prepare_synthetic(arguments: argparse.Namespace) -> int:
    names = SyntheticConfig.model_fields
    source = Source("prepare synthetic")
    config = validate(SyntheticConfig, {name: getattr(arguments, name) for name in names}, source)
    progress = _Progress()
    manifest = prepare_synthetic(arguments.out, config, progress)
    progress.close()
    _report(arguments.out, manifest)
    return 0


def _prepare_raw(arguments: argparse.Namespace) -> int:
    names = BuildOptions.model_fields
    source = Source(f"prepare {arguments.command}")
    options = validate(BuildOptions, {name: getattr(arguments, name) for name in names}, source)
    dataset = dataset_named(arguments.command)
    layout = FINDERS[arguments.command](arguments.source, dataset)
    print(f"{layout.folder}: {layout.name}, {len(layout.pairs)} pairs")
    progress = _Progress()
    manifest, warnings = build(arguments.out, dataset, layout, options, progress)
    progress.close()
    if layout.unlisted:
        count, first = len(layout.unlisted), layout.unlisted[0]
        warnings.append(f"{count} files are on no list and were left out, e.g. {first}")
    warnings.extend(f"left out: {offence}" for offence in manifest.skipped)
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    _report(arguments.out, manifest)
    return 0


def _report(root: str, manifest: Manifest) -> None:
    size = sum(shard.size for shard in manifest.shards) / 1e6
    counts = ", ".join(f"{split} {manifest.rows(split)}" for split in SPLITS)
    print(f"{root}: {manifest.dataset}, {counts} images, {size:.1f} MB, digest {manifest.digest}")


def _show(root: str, out: str) -> int:
    manifest = read_manifest(root)
    dataset = dataset_named(manifest.dataset)
    check_shards(root, manifest)
    stream = io.BytesIO()
    contact_sheet(root, manifest, dataset).save(stream, "PNG")
    storage.write_bytes(out, stream.getvalue())
    _report(root, manifest)
    print(_table(manifest, dataset))
    return 0


def _table(manifest: Manifest, dataset: Dataset) -> str:
    """Share of pixels per class and split, in percent of all pixels."""
    lines = [f"{'% of pixels':14}" + "".join(f"{split:>9}" for split in SPLITS)]
    for index, name in enumerate((*dataset.classes, "(ignored)")):
        shares = (
            100 * manifest.pixels[split][index] / max(1, sum(manifest.pixels[split]))
            for split in SPLITS
        )
        lines.append(f"{name:14}" + "".join(f"{share:9.3f}" for share in shares))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(run(main))
