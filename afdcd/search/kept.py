"""Studies that are kept in this storage, read without their search space."""

from dataclasses import dataclass

import optuna
from mlflow.entities import DatasetInput

from afdcd import storage
from afdcd.config import UserError
from afdcd.environment import storage_root, study_database, tracking_uri
from afdcd.search.patient_storage import PatientStorage
from afdcd.search.records import run_records, study_record
from afdcd.search.rows import Entry, entry_of, standing
from afdcd.text import first_line, shown
from afdcd.tracking.databases import check_apart
from afdcd.tracking.datasets import restored
from afdcd.tracking.records import RunRecord, StudyRecord
from afdcd.tracking.server import check_database

DATA = "data"  # study attribute: the data set as MLflow lists it under a run's inputs


@dataclass(frozen=True)
class Kept:
    """A study as it lies in database and storage."""

    study: optuna.Study
    folder: str

    @property
    def id(self) -> str:
        return str(self.study.user_attrs["id"])

    def entries(self) -> list[Entry]:
        return standing([entry_of(row) for row in self.study.get_trials(deepcopy=False)])

    def data(self) -> DatasetInput | None:
        """What its runs learn from, as MLflow lists it."""
        known = self.study.user_attrs.get(DATA)
        return restored(known) if known else None

    def record(self) -> StudyRecord:
        """The study as MLflow shows it; it counts as killed while a run of it has not ended."""
        entries = self.entries()
        going = any(entry.outcome is None for entry in entries)
        return study_record(self.study, entries, "killed" if going else "completed")

    def runs(self) -> list[RunRecord]:
        return run_records(self.id, self.entries(), self.folder)


def kept_study(name: str) -> Kept:
    """The study of this name in the study database.

    Raises:
        UserError: no such study, or a database that cannot be read.
    """
    url = study_database()
    check_apart(tracking_uri(), url)
    check_database(url, "AFDCD_STUDY_DB")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.load_study(study_name=name, storage=PatientStorage(url))
    except UserError:
        raise
    except KeyError:
        known = sorted(optuna.get_all_study_names(url))
        listed = f"it has {', '.join(known)}" if known else "it has none"
        raise UserError(
            f"no study {name!r} in {shown(url)}: {listed}; check the name and AFDCD_STUDY_DB"
        ) from None
    except Exception as error:  # the database drivers' errors share no base class
        raise UserError(f"{shown(url)}: cannot be read ({first_line(error)})") from None
    if "id" not in study.user_attrs:
        raise UserError(f"study {name!r} was begun by an earlier afdcd; use that version for it")
    return Kept(study, storage.join(storage_root(), "studies", name))
