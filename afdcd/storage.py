"""Files by local path or URI (`s3://bucket/x`, `gs://...`, `file:///x`), through pyarrow.fs.

A file appears whole or not at all: it is written under a temporary name and then moved.
"""

import errno
import hashlib
import os
import uuid
from pathlib import Path

import pyarrow as pa
from pyarrow import fs

from afdcd.config import UserError


def resolve(uri: str) -> tuple[fs.FileSystem, str]:
    """The file system of a path or URI, and the path on it.

    Raises:
        UserError: the URI names a scheme that pyarrow does not know.
    """
    if "://" not in uri:
        # Not from_uri: it refuses relative paths, and reads % and # in a path as URI syntax.
        return fs.LocalFileSystem(use_mmap=True), str(Path(uri).absolute())
    try:
        return fs.FileSystem.from_uri(uri)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{uri}: cannot be opened as storage: {error}") from None


def join(uri: str, *parts: str) -> str:
    return "/".join([uri.rstrip("/") if uri != "/" else "", *parts])


def exists(uri: str) -> bool:
    """Whether a file (not a folder) stands at `uri`."""
    return size(uri) is not None


def size(uri: str) -> int | None:
    """Bytes of the file at `uri`; None if there is none.

    Raises:
        UserError: the store does not answer, or refuses.
    """
    files, path = resolve(uri)
    try:
        info = files.get_file_info(path)
    except OSError as error:
        raise UserError(f"{uri}: cannot be looked up: {str(error).splitlines()[0]}") from None
    return info.size if info.type == fs.FileType.File else None


def read_bytes(uri: str) -> bytes:
    """The content of a file.

    Raises:
        FileNotFoundError: there is no such file.
    """
    files, path = resolve(uri)
    with files.open_input_stream(path, compression=None) as stream:
        return stream.read()


def sha256(uri: str) -> str:
    """Of a file's content, read piece by piece."""
    files, path = resolve(uri)
    digest = hashlib.sha256()
    with files.open_input_stream(path, compression=None) as stream:
        while piece := stream.read(1 << 24):
            digest.update(piece)
    return digest.hexdigest()


def write_bytes(uri: str, data: bytes | pa.Buffer) -> None:
    """Write a file whole or not at all, replacing one of the same name; missing folders are made.

    Raises:
        UserError: the disk is full, or the place may not be written to.
    """
    files, path = resolve(uri)
    folder, _, name = path.rpartition("/")
    # Readers list by suffix; two writers of one file must not share a temporary name.
    temporary = f"{folder}/.{name}.{uuid.uuid4().hex}.tmp"
    try:
        if isinstance(files, fs.LocalFileSystem):
            files.create_dir(folder)  # object stores have no folders to make
        with files.open_output_stream(temporary, compression=None) as stream:
            stream.write(data)
        files.move(temporary, path)
    except OSError as error:
        _discard(files, temporary)
        raise UserError(f"{uri}: cannot be written: {_reason(error)}") from None


def _discard(files: fs.FileSystem, path: str) -> None:
    try:
        files.delete_file(path)
    except OSError:
        return  # never created, or the store is gone: the first error is the one to report


def _reason(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "no space left; free some or write elsewhere"
    if error.errno:
        return f"{os.strerror(error.errno)}; choose a place that may be written to"
    return str(error).splitlines()[0]
