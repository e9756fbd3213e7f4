"""One study as one file: its database rows and its folder, to be kept or taken elsewhere.

A tar of `study.json` and of files as they lie in storage. Nothing in it is executed when it is read.
MLflow is not in it: `afdcd track NAME` builds that anew. Nor is the data set, only its digest.
"""

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import optuna
from optuna.distributions import distribution_to_json, json_to_distribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from afdcd import storage
from afdcd.config import UserError
from afdcd.environment import storage_root, study_database
from afdcd.search.kept import Kept
from afdcd.search.load import NAME
from afdcd.search.open_study import OWNER, connect
from afdcd.text import first_line

FORMAT = 1
HEAD = "study.json"


def export(kept: Kept, target: Path) -> int:
    """Write a study to `target`, whole or not at all; the number of its files.

    Raises:
        UserError: the place cannot be written to.
    """
    partial = target.with_name(f".{target.name}.partial")
    count = 0
    try:
        with tarfile.open(partial, "w") as tar:
            files = list(_files(kept))
            head = {**_head(kept.study), "files": files}
            _add(tar, HEAD, json.dumps(head, indent=1).encode())
            for place in files:
                _add(tar, place, storage.read_bytes(storage.join(storage_root(), place)))
                count += 1
        partial.replace(target)
    except OSError as error:
        raise UserError(f"{target}: cannot be written: {error.strerror or error}") from None
    finally:
        partial.unlink(missing_ok=True)
    return count


def restore(source: Path) -> str:
    """Put an exported study into this storage and study database; its name.

    All of it is read and checked before anything is written.

    Raises:
        UserError: no such export, or a study of that name is here already.
    """
    try:
        with tarfile.open(source, "r:") as tar:
            members = tar.getmembers()
            head, name = _read_head(tar, members, source)
            rows = [_row(row) for row in head["rows"]]
            for member in members[1:]:
                _check_place(member, name, source)
            if [member.name for member in members[1:]] != head["files"]:
                raise UserError(f"{source}: was cut short, or files were added; export it again")
            _check_free(name, str(head["attributes"]["id"]), source)
            for member in members[1:]:
                stream = tar.extractfile(member)
                assert stream is not None
                storage.write_bytes(storage.join(storage_root(), member.name), stream.read())
            study = connect(study_database(), name, higher_is_better=bool(head["maximise"]))
    except (tarfile.TarError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = first_line(error)
        raise UserError(f"{source}: cannot be read as an exported study: {why}") from None
    for key, value in head["attributes"].items():
        study.set_user_attr(key, value)
    for row in rows:
        study.add_trial(row)
    return name


def _head(study: optuna.Study) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "name": study.study_name,
        "maximise": study.direction == optuna.study.StudyDirection.MAXIMIZE,
        "attributes": study.user_attrs,
        "rows": [_plain(row) for row in study.get_trials(deepcopy=False)],
    }


def _plain(row: FrozenTrial) -> dict[str, Any]:
    return {
        "state": row.state.name,
        "value": row.value,
        "params": row.params,
        "distributions": {k: distribution_to_json(d) for k, d in row.distributions.items()},
        "curve": {str(step): value for step, value in row.intermediate_values.items()},
        "user_attrs": row.user_attrs,
        "system_attrs": row.system_attrs,
    }


def _row(plain: dict[str, Any]) -> FrozenTrial:
    distributions = {k: json_to_distribution(d) for k, d in plain["distributions"].items()}
    return create_trial(
        state=TrialState[plain["state"]],
        value=plain["value"],
        params=plain["params"],
        distributions=distributions,
        intermediate_values={int(step): value for step, value in plain["curve"].items()},
        user_attrs=plain["user_attrs"],
        system_attrs=plain["system_attrs"],
    )


def _files(kept: Kept) -> Iterator[str]:
    """Places below the storage root: the study's folder, and the teachers that it is pinned to."""
    folder = f"studies/{kept.study.study_name}"
    for place in storage.walk(storage.join(storage_root(), folder)):
        if not place.startswith("tune/"):  # Tune's logs
            yield f"{folder}/{place}"
    pins = kept.study.user_attrs.get("teachers", {})
    wanted = {pin["sha256"][:16] for pin in pins.values()}
    for name in storage.names(storage.join(storage_root(), "teachers")):
        if name.partition(".")[0] in wanted:
            yield f"teachers/{name}"


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def _read_head(
    tar: tarfile.TarFile, members: list[tarfile.TarInfo], source: Path
) -> tuple[dict[str, Any], str]:
    stream = tar.extractfile(members[0]) if members and members[0].name == HEAD else None
    head = json.load(stream) if stream else {}
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise UserError(f"{source}: no study that `afdcd study export` of this version wrote")
    if not NAME.fullmatch(str(head["name"])):
        raise UserError(
            f"{source}: holds a study of the name {head['name']!r}, which none can have"
        )
    return head, str(head["name"])


def _check_place(member: tarfile.TarInfo, name: str, source: Path) -> None:
    """A study brings its own folder and the teachers it learns from, and nothing else."""
    parts = PurePosixPath(member.name).parts
    own = parts[:2] == ("studies", name) and len(parts) > 2
    teacher = len(parts) == 2 and parts[0] == "teachers"
    if not member.isreg() or ".." in parts or not (own or teacher):
        raise UserError(f"{source}: holds {member.name!r}, which no exported study does")


def _check_free(name: str, id: str, source: Path) -> None:
    """Nothing here is overwritten that is another study's."""
    here = connect(study_database(), name)
    owner = storage.join(storage_root(), "studies", name, OWNER)
    other = storage.exists(owner) and json.loads(storage.read_bytes(owner)).get("id") != id
    if here.get_trials(deepcopy=False) or other:
        raise UserError(
            f"{source}: holds study {name!r}, and one of that name is in this study database or "
            "storage already; set AFDCD_STUDY_DB and AFDCD_STORAGE to another place"
        )
