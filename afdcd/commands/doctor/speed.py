"""How fast bytes come from storage: of a prepared data set, else of a file written for it."""

import secrets
import time

from afdcd import storage
from afdcd.commands.doctor.finding import Finding
from afdcd.text import byte_count, shown

PROBE = 8 * 2**20  # bytes that are written and read where no data set is named
MOST, SECONDS = 256 * 2**20, 5.0  # of a data set, whichever comes first
_PIECE = 4 * 2**20
# A step of 16 Cityscapes images takes 40 MB. Less than half of that in a second leaves one GPU idle
# for most of its time.
LEAST = 20e6  # bytes a second


def data_read(root: str) -> list[Finding]:
    """Data."""
    from afdcd.data.shards.manifest import read_manifest

    shards = read_manifest(root).shards
    size, began = 0, time.perf_counter()
    for shard in shards:
        files, path = storage.resolve(storage.join(root, shard.file))
        with files.open_input_stream(path, compression=None) as stream:
            while piece := stream.read(_PIECE):
                size += len(piece)
                if size >= MOST or time.perf_counter() - began > SECONDS:
                    return [_judged(root, size, time.perf_counter() - began)]
    return [_judged(root, size, time.perf_counter() - began)]


def _judged(root: str, size: int, seconds: float) -> Finding:
    rate = size / max(seconds, 1e-9)
    mend = "bring the data nearer: a GPU waits for it" if rate < LEAST else ""
    return Finding("data", f"{shown(root)}: {byte_count(size)} read, {_rate(rate)}", mend)


def storage_used(root: str) -> Finding:
    """Write a file, read it back, remove it; nothing stays.

    Raises:
        StorageError: it cannot be written or read.
    """
    name = storage.join(root, f"doctor-{secrets.token_hex(8)}")
    data = secrets.token_bytes(PROBE)  # not zeros, which some stores keep as nothing
    began = time.perf_counter()
    storage.write_bytes(name, data)
    try:
        written = time.perf_counter()
        same = storage.read_bytes(name) == data
        read = time.perf_counter()
    finally:
        storage.remove(name)
    speeds = f"writes {_rate(PROBE / (written - began))}, reads {_rate(PROBE / (read - written))}"
    mend = "" if same else "it gives back other bytes than were written: use another place"
    return Finding("storage", f"{shown(root)} can be written; {speeds}", mend)


def _rate(bytes_a_second: float) -> str:
    """In steps, so that nodes that are alike share a line."""
    rate = bytes_a_second / 1e6
    return f"{rate:.1f} MB/s" if rate < 10 else f"{float(f'{rate:.1g}'):.0f} MB/s"
