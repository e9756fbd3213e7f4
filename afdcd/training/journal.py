"""What a run reported, beside its checkpoints: the record from which MLflow can be built anew.

One file per report, `journal/00000040.json`, because an object store cannot append. The worker
writes it before it reports, so a checkpoint never lacks its line; a repeated iteration replaces its
own file.
"""

import json
import math
from typing import Any

from afdcd import storage
from afdcd.config import UserError, validate
from afdcd.training.job import Report

FOLDER = "journal"


def write(folder: str, report: Report) -> None:
    """Keep one report of the run in `folder` (path or URI).

    Raises:
        UserError: the place cannot be written to.
    """
    place = storage.join(folder, FOLDER, f"{report.iteration:08d}.json")
    values = {key: value for key, value in report.plain().items() if value is not None}
    storage.write_bytes(place, json.dumps(_null_for_nan(values)).encode())


def read(folder: str, after: int = 0) -> list[Report]:
    """The reports of the run in `folder` at iterations above `after`, in their order.

    Raises:
        UserError: a file that no afdcd wrote.
        StorageError: the store does not answer.
    """
    return [_parsed(file) for iteration, file in _files(folder).items() if iteration > after]


def _files(folder: str) -> dict[int, str]:
    """The file of each reported iteration, in their order."""
    place = storage.join(folder, FOLDER)
    names = [name for name in storage.names(place) if name.removesuffix(".json").isdigit()]
    return {int(name.removesuffix(".json")): storage.join(place, name) for name in names}


def _parsed(uri: str) -> Report:
    content = storage.read_bytes(uri)
    try:
        values = json.loads(content)
        return validate(Report, _nan_for_null(values))
    except (ValueError, UserError):  # which key of a file that no person writes is no help
        raise UserError(f"{uri}: no report of a run; restore it or delete it") from None


def _null_for_nan(value: Any) -> Any:
    """JSON has no word for nan, and other programs read these files too."""
    if isinstance(value, dict):
        return {key: _null_for_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_null_for_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _nan_for_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _nan_for_null(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_nan_for_null(item) for item in value]
    return math.nan if value is None else value
