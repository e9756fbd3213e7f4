"""A prepared data set for a person: its figures as text, its labels and class shares as pictures."""

import io

from afdcd import storage
from afdcd.data.catalog.dataset import Dataset
from afdcd.data.catalog.splits import ALL_SPLITS, SPLITS, Split
from afdcd.data.shards.described import described
from afdcd.data.shards.manifest import Manifest, read_index, read_manifest
from afdcd.data.shards.parquet import check_shards
from afdcd.data.show.histogram import histogram
from afdcd.data.show.sheet import contact_sheet
from afdcd.extras import need
from afdcd.text import table

_SHOWN = 20


def show(root: str, folder: str) -> str:
    """Compare all files with their sha256, write two pictures to `folder`, return the text.

    Raises:
        UserError: not prepared, damaged, no matplotlib, or the pictures cannot be written.
    """
    need("matplotlib", "plot", "the histogram of classes")
    manifest = read_manifest(root)
    dataset = described(manifest)
    check_shards(root, manifest)
    read_index(root, manifest)
    stream = io.BytesIO()
    contact_sheet(root, manifest, dataset).save(stream, "PNG")
    pictures = {"histogram": histogram(manifest, dataset), "sheet": stream.getvalue()}
    uris = [storage.join(folder, f"{dataset.name}-{kind}.png") for kind in pictures]
    for uri, data in zip(uris, pictures.values(), strict=True):
        storage.write_bytes(uri, data)
    verified = f"sha256    all {len(manifest.shards)} shards and the index are as written"
    return "\n".join([describe(root, manifest), verified, "", _table(manifest, dataset), "", *uris])


def summary(root: str, manifest: Manifest) -> str:
    """One line."""
    size = sum(shard.size for shard in manifest.shards) / 1e6
    counts = ", ".join(f"{split} {manifest.rows(split)}" for split in _splits(manifest))
    return f"{root}: {manifest.dataset}, {counts} images, {size:.1f} MB, digest {manifest.digest}"


def _splits(manifest: Manifest) -> list[Split]:
    """The three that every set has a place for, and the unlabelled pictures of one that has some."""
    return [split for split in ALL_SPLITS if split in SPLITS or manifest.rows(split)]


def describe(root: str, manifest: Manifest) -> str:
    """What was prepared, from what, and how."""
    options = ", ".join(f"{k} {v}" for k, v in manifest.options.items() if v is not None)
    shards = ", ".join(
        f"{split} {sum(shard.split == split for shard in manifest.shards)}"
        for split in _splits(manifest)
    )
    lines = [
        summary(root, manifest),
        f"shards    {shards}",
        f"source    {manifest.source}",
        f"encoding  {manifest.encoding}",
        f"options   {options or 'none: images as shipped'}",
        *_own(manifest),
        f"tool      afdcd {manifest.tool}",
        f"left out  {len(manifest.skipped)} unusable files",
    ]
    more = len(manifest.skipped) - _SHOWN
    lines += [f"          {offence}" for offence in manifest.skipped[:_SHOWN]]
    return "\n".join([*lines, *([f"          and {more} more"] if more > 0 else [])])


def _own(manifest: Manifest) -> list[str]:
    if manifest.own is None:
        return []
    ignored = ", ".join(manifest.own.ignored) or "nothing"
    return [f"ignored   {ignored}", f"split     {manifest.own.split}"]


def _table(manifest: Manifest, dataset: Dataset) -> str:
    """Share of pixels per class and split, in per cent of all pixels."""
    splits = [split for split in SPLITS if manifest.rows(split)]
    rows = []
    for index, name in enumerate((*dataset.classes, "(ignored)")):
        counts = (manifest.pixels[split] for split in splits)
        shares = (100 * count[index] / max(1, sum(count)) for count in counts)
        rows.append((name, *(f"{share:.3f}" for share in shares)))
    return table(("% of pixels", *splits), rows, numbers=len(splits))
