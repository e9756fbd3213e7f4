"""Which columns of a Parquet file hold pictures, and which of two is the label."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from afdcd.config import UserError
from afdcd.data.foreign import foreign
from afdcd.data.own.entries import NotTakenError
from afdcd.text import first_line

_HEAD = 2048  # bytes in which a file says what it is
_LABEL = re.compile(
    r"(^|[^a-z])(annotations?|gt|labels?|map|masks?|seg|segmentation|semantic|target)([^a-z]|$)"
)


@dataclass(frozen=True)
class Table:
    """A Parquet file without its rows.

    Attributes:
        empty: columns that hold paths only, no pictures.
    """

    schema: pa.Schema
    rows: int
    empty: frozenset[str]

    @classmethod
    def of(cls, path: Path) -> "Table":
        """Raises NotTakenError: it cannot be read."""
        try:
            with pq.ParquetFile(path) as file:
                return cls(file.schema_arrow, file.metadata.num_rows, _empty(file.metadata))
        except (pa.ArrowException, OSError) as error:
            raise NotTakenError(_unread(path, error)) from None

    def fault(self, image: str, label: str) -> str:
        """Why its rows cannot be taken; "" where they can."""
        missing = [column for column in (image, label) if column not in image_columns(self)]
        if missing:
            return f"no pictures in column {missing[0]!r}, as the other files have: take it out"
        hollow = [column for column in (image, label) if column in self.empty]
        if hollow:
            return (
                f"column {hollow[0]!r} holds paths only, no pictures: export the set with them "
                "(`push_to_hub` and `to_parquet` embed them)"
            )
        return ""


def image_columns(table: Table) -> list[str]:
    """By what `datasets` wrote into the schema, else by type: structs, then plain bytes."""
    features = _features(table.schema)
    said = [name for name in table.schema.names if _type(features.get(name)) == "Image"]
    if said:
        return said
    structs = [field.name for field in table.schema if _is_picture(field.type)]
    plain = [field.name for field in table.schema if _is_binary(field.type)]
    return structs or (plain if len(plain) > 1 else [])  # a single one may be anything


def pair_of(file: str, tables: Sequence[Table], wanted: tuple[str, str] | None) -> tuple[str, str]:
    """The column of pictures and that of their labels; `file` stands for the set in errors.

    Raises:
        UserError: not two, and nobody said which.
    """
    found = next(filter(None, map(image_columns, tables)))
    listed = ", ".join(found)
    if wanted:
        missing = [column for column in wanted if column not in found]
        if missing or wanted[0] == wanted[1]:
            raise UserError(f"{file}: no two columns of pictures {wanted}; choose from {listed}")
        return wanted
    if len(found) == 1:
        raise UserError(
            f"{file}: one column of pictures ({listed}), none of labels; a second is needed that "
            "holds a picture of class numbers for each"
        )
    if len(found) > 2:
        raise UserError(
            f"{file}: {len(found)} columns of pictures ({listed}); say which are meant, "
            f"e.g. --columns {found[0]},{found[1]}"
        )
    first, second = found
    return (second, first) if _is_label(first) and not _is_label(second) else (first, second)


def _is_label(column: str) -> bool:
    return _LABEL.search(column.lower()) is not None


def _features(schema: pa.Schema) -> dict[str, Any]:
    """What `datasets` knows of the columns."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}
    return features if isinstance(features, dict) else {}


def _type(feature: object) -> object:
    return feature.get("_type") if isinstance(feature, dict) else None


def _is_picture(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind) and {"bytes", "path"} <= {field.name for field in kind}


def _is_binary(kind: pa.DataType) -> bool:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.types.is_binary(value) or pa.types.is_large_binary(value)


def _empty(metadata: pq.FileMetaData) -> frozenset[str]:
    """Columns whose bytes are null in every row, by the statistics of the file."""
    nulls: dict[str, int] = {}
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        for place in range(row_group.num_columns):
            chunk = row_group.column(place)
            name, _, leaf = chunk.path_in_schema.rpartition(".")
            if leaf == "bytes" and chunk.statistics and chunk.statistics.has_null_count:
                nulls[name] = nulls.get(name, 0) + chunk.statistics.null_count
    return frozenset(name for name, count in nulls.items() if count == metadata.num_rows > 0)


def _unread(path: Path, error: Exception) -> str:
    """What the file is instead, as the pointer that a download without git-LFS leaves."""
    try:
        with path.open("rb") as file:
            known = foreign(file.read(_HEAD))
    except OSError:
        known = None
    return ": ".join(known or (f"cannot be read ({first_line(error)})", "fetch the file again"))
