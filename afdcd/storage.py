"""Files by local path or URI (`s3://bucket/x`, `gs://...`, `file:///x`), through pyarrow.fs.

A file appears whole or not at all: on a disk it is written under a temporary name and then moved; an
object store shows an object only when all of it has arrived.

S3: `s3://bucket/folder`, and the rest by environment: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or
a profile, or the machine's role), AWS_DEFAULT_REGION, and for a store that is not Amazon's
AWS_ENDPOINT_URL, e.g. http://minio:9000. All of pyarrow's own options can stand in the URI instead:
`s3://bucket/folder?region=eu-west-1&endpoint_override=minio:9000&scheme=http`.
"""

import errno
import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from pyarrow import fs

from afdcd.config import UserError
from afdcd.text import first_line, is_utf8, shown


class StorageError(UserError):
    """A store does not answer or refuses, a disk is full: no setting's and no data's fault."""


_OBJECT_STORES = ("s3", "gcs", "abfs")
_S3_REMEDY = (
    "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_DEFAULT_REGION and, for a store that is not "
    "Amazon's, AWS_ENDPOINT_URL"
)


def resolve(uri: str) -> tuple[fs.FileSystem, str]:
    """The file system of a path or URI, and the path on it.

    Raises:
        UserError: the URI names a scheme that pyarrow does not know, or the path is no UTF-8.
    """
    if not is_utf8(uri):
        raise UserError(f"{uri}: the name is no UTF-8, which storage needs; choose another")
    if "://" not in uri:
        # Not from_uri: it refuses relative paths, and reads % and # in a path as URI syntax.
        return fs.LocalFileSystem(use_mmap=True), str(Path(uri).absolute())
    try:
        return fs.FileSystem.from_uri(uri)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(
            f"{shown(uri)}: cannot be opened as storage: {_reason(uri, error)}"
        ) from None


def join(uri: str, *parts: str) -> str:
    """The URI of a file below `uri`; the options after a `?` stay at the end."""
    options = ""
    if "://" in uri:  # a local path may hold a question mark
        uri, mark, query = uri.partition("?")
        options = mark + query
    return "/".join([uri.rstrip("/") if uri != "/" else "", *parts]) + options


def exists(uri: str) -> bool:
    """Whether a file (not a folder) stands at `uri`."""
    return size(uri) is not None


def size(uri: str) -> int | None:
    """Bytes of the file at `uri`; None if there is none.

    Raises:
        StorageError: the store does not answer, or refuses.
    """
    files, path = resolve(uri)
    try:
        info = files.get_file_info(path)
    except OSError as error:
        raise StorageError(f"{shown(uri)}: cannot be looked up: {_reason(uri, error)}") from None
    return info.size if info.type == fs.FileType.File else None


def read_bytes(uri: str) -> bytes:
    """The content of a file.

    Raises:
        FileNotFoundError: there is no such file.
        StorageError: the store does not answer, or refuses.
    """
    with _opened(uri) as stream:
        return stream.read()


def sha256(uri: str) -> str:
    """Of a file's content, read piece by piece.

    Raises: as `read_bytes`.
    """
    digest = hashlib.sha256()
    with _opened(uri) as stream:
        while piece := stream.read(1 << 24):
            digest.update(piece)
    return digest.hexdigest()


def names(uri: str) -> list[str]:
    """The files directly in a folder, sorted; none where there is no such folder."""
    files, path = resolve(uri)
    try:
        found = files.get_file_info(fs.FileSelector(path, allow_not_found=True))
    except OSError as error:
        raise StorageError(f"{shown(uri)}: cannot be listed: {_reason(uri, error)}") from None
    return sorted(info.base_name for info in found if info.type == fs.FileType.File)


def walk(uri: str) -> list[str]:
    """The files in a folder and below, relative to it, sorted; none where there is no such folder."""
    files, path = resolve(uri)
    try:
        found = files.get_file_info(fs.FileSelector(path, allow_not_found=True, recursive=True))
    except OSError as error:
        raise StorageError(f"{shown(uri)}: cannot be listed: {_reason(uri, error)}") from None
    inside = [info.path for info in found if info.type == fs.FileType.File]
    return sorted(place[len(path.rstrip("/")) + 1 :] for place in inside)


def remove(uri: str) -> None:
    """Delete a file; one that is gone already is no error."""
    _discard(*resolve(uri))


def remove_folder(uri: str) -> None:
    """Delete a folder and what is in it; one that is gone already is no error."""
    files, path = resolve(uri)
    try:
        files.delete_dir(path)
    except OSError:
        if files.get_file_info(path).type != fs.FileType.NotFound:
            raise


def write_bytes(uri: str, data: bytes | memoryview | pa.Buffer) -> None:
    """Write a file whole or not at all, replacing one of the same name; missing folders are made.

    Raises:
        StorageError: the disk is full, or the place may not be written to.
    """
    files, path = resolve(uri)
    if files.type_name in _OBJECT_STORES:
        _upload(uri, files, path, data)
        return
    folder, _, name = path.rpartition("/")
    # Readers list by suffix; two writers of one file must not share a temporary name.
    temporary = f"{folder}/.{name}.{uuid.uuid4().hex}.tmp"
    try:
        files.create_dir(folder)
        with files.open_output_stream(temporary, compression=None) as stream:
            stream.write(data)
        files.move(temporary, path)
    except OSError as error:
        _discard(files, temporary)
        raise StorageError(f"{shown(uri)}: cannot be written: {_reason(uri, error)}") from None


def write_once(uri: str, data: bytes) -> bytes:
    """Write a file unless there is one of that name; the content of what is there then.

    On a disk the first of several writers wins, for all of them. An object store has no such
    operation: of two that write in the same moment the last one's stays.

    Raises:
        UserError: as `write_bytes`.
    """
    files, path = resolve(uri)
    if files.type_name != "local":
        if not exists(uri):
            write_bytes(uri, data)
        return read_bytes(uri)
    draft = f"{uri}.{uuid.uuid4().hex}.tmp"
    write_bytes(draft, data)
    try:
        os.link(resolve(draft)[1], path)
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        if not exists(uri):
            write_bytes(uri, data)
    finally:
        remove(draft)
    return read_bytes(uri)


@contextmanager
def _opened(uri: str) -> Iterator[pa.NativeFile]:
    files, path = resolve(uri)
    try:
        with files.open_input_stream(path, compression=None) as stream:
            yield stream
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StorageError(f"{shown(uri)}: cannot be read: {_reason(uri, error)}") from None


def _upload(
    uri: str, files: fs.FileSystem, path: str, data: bytes | memoryview | pa.Buffer
) -> None:
    """An upload that breaks off leaves nothing; moving would copy the object once more."""
    try:
        with files.open_output_stream(path, compression=None) as stream:
            stream.write(data)
    except OSError as error:
        raise StorageError(f"{shown(uri)}: cannot be written: {_reason(uri, error)}") from None


def _discard(files: fs.FileSystem, path: str) -> None:
    try:
        files.delete_file(path)
    except OSError:
        return  # never created, or the store is gone: the first error is the one to report


def _reason(uri: str, error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number == errno.ENOSPC:
        return "no space left; free some or write elsewhere"
    if number:
        return f"{os.strerror(number)}; choose a place that may be written to"
    reason = first_line(error)
    return f"{reason}; {_S3_REMEDY}" if uri.startswith("s3://") else reason
