"""Opening a study: whose it is, what may have changed since, and which references are still to be run."""

import json
import uuid
from typing import Any

import optuna
from optuna.trial import TrialState

from afdcd import storage
from afdcd.config import UserError
from afdcd.search.book import waiting_reference
from afdcd.search.lease import Lease
from afdcd.search.options import OptionSets
from afdcd.search.patient_storage import PatientStorage
from afdcd.search.policy.samplers import tpe
from afdcd.search.rows import Entry
from afdcd.search.rungs import Rules
from afdcd.search.settings import Settings
from afdcd.search.space import SEED, without_seed
from afdcd.search.study import Study
from afdcd.seeds import derive
from afdcd.text import first_line, shown

OWNER = "study.json"  # of a study's folder: the id of the study that it belongs to


def connect(
    url: str, name: str, *, higher_is_better: bool = True, lease: Lease | None = None
) -> optuna.Study:
    """Open or create the Optuna study `name` in the database `url`, with an id of its own.

    Args:
        lease: without which nothing is written any more.

    Raises:
        UserError: unreachable database, or a study that an older afdcd began.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        database = PatientStorage(url)
        if lease:
            lease.fence(database.engine)
        study = optuna.create_study(
            storage=database,
            study_name=name,
            direction="maximize" if higher_is_better else "minimize",
            load_if_exists=True,
        )
    except UserError:
        raise
    except Exception as error:  # the database drivers' errors share no base class
        raise UserError(
            f"study database {shown(url)}: cannot be used ({first_line(error)}); "
            "check AFDCD_STUDY_DB"
        ) from None
    known = study.user_attrs
    if "id" not in known:
        if known.get("identity") or study.get_trials(deepcopy=False):
            raise UserError(
                f"study {name!r} was begun by an earlier afdcd, whose runs say neither setting nor "
                "seed and train otherwise (several workers); finish it with that version, or give "
                "this one its own name: study.name=..."
            )
        study.set_user_attr("id", uuid.uuid4().hex)
    return study


def claim(folder: str, study: optuna.Study) -> None:
    """Write the study's id into its folder, where its runs keep weights and checkpoints.

    Raises:
        UserError: the folder belongs to another study.
    """
    place = storage.join(folder, OWNER)
    own = {"id": study.user_attrs["id"], "name": study.study_name}
    if not storage.exists(place):
        storage.write_bytes(place, json.dumps(own).encode())
        return
    try:
        found = json.loads(storage.read_bytes(place))
        owner = str(found["id"])
    except (ValueError, TypeError, KeyError):
        raise UserError(
            f"{place}: does not say whose folder it is; if it is this study's, write {json.dumps(own)}"
        ) from None
    if owner != own["id"]:
        raise UserError(
            f"{folder}: belongs to study {owner[:8]}, the database says "
            f"{own['id'][:8]}: it was begun with another study database. Set AFDCD_STUDY_DB to that "
            "one, give this study its own name (study.name=...), or move the folder away"
        )


def check_frame(study: optuna.Study, frame: dict[str, Any], where: str) -> None:
    """Hold a study to what all its values share, so that they can be compared.

    Args:
        frame: by dotted key, e.g. `training.iterations`.

    Raises:
        UserError: what differs, then and now.
    """
    known = study.user_attrs.get("frame")
    if known is None:
        study.set_user_attr("frame", frame)
        return
    frame = json.loads(json.dumps(frame))
    changed = [key for key in {**known, **frame} if known.get(key) != frame.get(key)]
    if changed:
        first = changed[0]
        was, now = (json.dumps(values.get(first)) for values in (known, frame))
        raise UserError(
            f"{where}: study {study.study_name!r} was begun with {first} = {was}, here it is {now}, "
            "so their values could not be compared; set it back, or give this study its own name: "
            "study.name=..."
        )


def open_study(
    optuna_study: optuna.Study,
    settings: Settings,
    rules: Rules,
    references: list[dict[str, Any]],
    seed: int,
    where: str,
) -> Study:
    """A study ready to propose runs, its references queued.

    Args:
        references: searched values by path, each a setting that a person asked for.
        where: the search space file, for errors.

    Raises:
        UserError: runs ended, but none of them lies in this space.
    """
    options = OptionSets(optuna_study.user_attrs.get("option_sets"))
    options.learn(settings.space)
    optuna_study.set_user_attr("option_sets", options.plain())
    optuna_study.sampler = _optuna_sampler(optuna_study, rules, seed)
    study = Study(optuna_study, settings, rules, options, seed)
    if (lost := study.outside()) and not study.entries():
        raise UserError(
            f"{where}: none of the {lost} runs that study {study.name!r} has lies in this search "
            "space; set it back, or give this study its own name: study.name=..."
        )
    for reference in references:
        if SEED in reference:  # a further run needs the trial that it repeats
            _ask_for(study, without_seed(reference))
        _ask_for(study, reference)
    return study


def _optuna_sampler(study: optuna.Study, rules: Rules, seed: int) -> optuna.samplers.BaseSampler:
    """TPE if the study is to be sampled by it; else the study says itself what is run."""
    if rules.sampler != "tpe" or rules.division:
        return optuna.samplers.RandomSampler()
    count = len(study.get_trials(deepcopy=False))
    # A resumed study must not draw its first random trials again, hence the count.
    return tpe(derive(seed, "sampler", count))


def _ask_for(study: Study, reference: dict[str, Any]) -> None:
    """Queue a reference, unless it is queued, runs, or came to its end."""
    asked = [e for e in study.everything() if e.reference == reference]
    if any(e.state in (TrialState.WAITING, TrialState.RUNNING) for e in asked):
        return
    if any(e.outcome in ("completed", "infeasible") for e in asked):
        return
    identity = study.settings.identity_of(reference)
    known = [
        e
        for e in study.entries()
        if e.outcome != "lost" and (e.identity == identity if identity else _has(e, reference))
    ]
    if any(e.outcome == "completed" for e in known):
        return
    if running := [e for e in known if e.state == TrialState.RUNNING]:
        study.prefer(running[0].number, reference)
    elif paused := [e for e in known if e.outcome == "paused"]:
        study.reopen(max(paused, key=lambda entry: entry.reached).number, reference)
    else:
        study.ask_for(waiting_reference(reference))


def _has(entry: Entry, reference: dict[str, Any]) -> bool:
    """Whether a run is what a reference asks for; what it leaves open may be anything."""
    found = {**entry.searched, SEED: entry.seed} if SEED in reference else entry.searched
    return all(found.get(path) == value for path, value in reference.items())
