"""The driver's side of MLflow: one thread that writes, and callers who never wait for it."""

import contextlib
import re
import sys
import threading
import time
from collections.abc import Callable

from mlflow.entities import DatasetInput, Run
from mlflow.exceptions import MlflowException

from afdcd.config import UserError
from afdcd.storage import StorageError
from afdcd.tracking import pages, runs
from afdcd.tracking.outbox import Letter, Outbox
from afdcd.tracking.records import RunRecord, StudyRecord
from afdcd.tracking.server import check_experiment, connect, introduce, reason, refusals
from afdcd.tracking.tidy import LastSign, tidy
from afdcd.training.job import Outcome
from afdcd.version import git_commit

GIVEN_UP = 8.0  # seconds between two attempts at a file that cannot be read
LOOK = 10.0  # seconds between two looks at what people wrote on the study's page
FAREWELL = 2.0  # seconds; `ray job stop` leaves a process about three
# Of an error's text, what differs from one attempt to the next: addresses, ids, paths, numbers.
_CHANGING = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{32}\b|/api/\S+|\d+")


class Tracker:
    """Keeps MLflow's runs as the records and journals say.

    What cannot be written now is tried again for as long as the process lives; of each run only the
    newest record waits. The thread ends with the process.

    Args:
        allowed: whether these runs are still this driver's to write.
        clock: seconds, for the time between two attempts.

    Raises:
        UserError: MLflow does not answer, or the experiment was deleted.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        allowed: Callable[[], bool] = lambda: True,
    ) -> None:
        self.client, self.experiment = connect()
        check_experiment(self.client, self.experiment)
        introduce(self.client, self.experiment)
        self.commit = git_commit()
        self.data: DatasetInput | None = None  # what every run of this driver learns from
        self._studies: dict[str, Run] = {}
        self._clock, self._allowed = clock, allowed
        self._records: dict[tuple[str | None, str], RunRecord] = {}
        self._outbox = Outbox()
        self._troubles = Troubles()
        self._changed = threading.Condition()
        self._writing = threading.Lock()  # or two would make the same run
        self._thread: threading.Thread | None = None
        self._closed = False
        self._study: str | None = None  # id of the study whose page is looked at
        self._wish, self._next_look = "", clock() + LOOK
        self.trouble = ""  # why the last attempt failed

    def open_study(self, record: StudyRecord) -> None:
        """Note how a study is: new, going on, or with other numbers than before."""
        self._study = record.id
        self._put(record.id, record, urgent=record.outcome == "killed")

    def close_study(self, record: StudyRecord) -> None:
        """Note how a study ended."""
        self.open_study(record)

    def update(self, record: RunRecord) -> None:
        """Note how a run is; its numbers are read from its journal when it is written."""
        key = (record.study, record.job.name)
        self._records[key] = record
        self._put(key, record, urgent=record.outcome == "killed")

    def told_of(self, study: str) -> set[tuple[str, str, Outcome, int]]:
        """What MLflow has of a study's runs and need not be told again; nothing while it is silent."""
        with contextlib.suppress(MlflowException, OSError):
            return pages.told_of(self._place, study)
        return set()

    def known(self) -> set[str]:
        """Names of the jobs of which something was told."""
        return {job for _, job in self._records}

    def settle(self, record: RunRecord) -> None:
        """Note how a run ended, where something else was told of it last."""
        told = self._records.get((record.study, record.job.name))
        if record.outcome and (told is None or told.outcome != record.outcome):
            self.update(record)

    def flush(self, seconds: float) -> bool:
        """Whether all is written within this time."""
        with self._changed:
            self._outbox.hurry()
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not len(self._outbox), seconds)

    def deliver(self, patience: float = 60.0) -> bool:
        """Whether all is written; goes on waiting while something is, every `patience` seconds."""
        left = len(self._outbox)
        while not self.flush(patience):
            now = len(self._outbox)
            if now >= left:
                return False
            left = now
        return True

    def close(self) -> None:
        """Write what can be written in a moment, then end the thread."""
        self.flush(FAREWELL)
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def run_of(self, job_name: str, study: str | None) -> str:
        """The id of a job's run, which is made now if it was to be made later.

        Raises:
            UserError: there is none, e.g. because the study ran against another server, or MLflow
                does not answer.
        """
        record = self._records.get((study, job_name))
        with refusals(), self._writing:
            if record:
                run = pages.find_run(self._place, record)
                return run.info.run_id if run else runs.project_run(self._place, record).run
            scope = {pages.STUDY: study} if study else {}
            run = pages.find(self._place, {pages.JOB: job_name, **scope})
        if run is None:
            raise UserError(f"MLflow has no run of {job_name}; set MLFLOW_TRACKING_URI as before")
        return run.info.run_id

    def note(self, run: str, name: str, value: float) -> None:
        """Log one number of a finished run, once however often it is noted.

        Raises:
            UserError: MLflow refuses or does not answer.
        """
        with refusals():
            if self.client.get_run(run).data.metrics.get(name) != value:
                self.client.log_metric(run, name, value)

    def attach(self, run: str, name: str, data: bytes, folder: str | None = None) -> None:
        """Store `data` as the run's artifact `folder/name`.

        Raises:
            UserError: MLflow refuses or does not answer.
        """
        with refusals():
            runs.attach(self.client, run, name, data, folder)

    def tidy(self, last_sign: LastSign) -> None:
        """Close runs of no study that were abandoned; what cannot be closed stays as it is."""
        with contextlib.suppress(MlflowException, OSError):
            tidy(self._place, last_sign)

    @property
    def _place(self) -> pages.Place:
        return pages.Place(self.client, self.experiment, self.commit, self.data, self._studies)

    def _put(self, key: object, record: RunRecord | StudyRecord, *, urgent: bool) -> None:
        with self._changed:
            self._outbox.put(key, record, urgent=urgent)
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)
                self._thread.start()

    def stop_wanted(self) -> str:
        """Who wants the study stopped, by a tag on its page; empty if nobody does. Told once."""
        wish, self._wish = self._wish, ""
        return wish

    def _work(self) -> None:
        while not self._closed:
            self._look_for_wishes()
            with self._changed:
                letter = self._outbox.next(self._clock())
                if letter is None:
                    wait = self._outbox.wait(self._clock())
                    self._changed.wait(LOOK if wait is None else min(wait, LOOK))
                    continue
            if not self._allowed():
                self._fall_silent()
                return
            error = self._error_of(letter)
            with self._changed:
                if _is_of_a_file(error) and letter.delay >= GIVEN_UP:
                    # Not MLflow but a file of the run: all else is written, and time mends nothing.
                    self._outbox.delivered(letter)
                elif error:
                    self.trouble = reason(error)
                    self._troubles.tell(error)
                    self._outbox.failed(letter, self._clock())
                else:
                    self._outbox.delivered(letter)
                    self._troubles.over(left=len(self._outbox))
                self._changed.notify_all()

    def _look_for_wishes(self) -> None:
        """What a person wrote on the study's page, now and then."""
        if self._study is None or self._clock() < self._next_look:
            return
        self._next_look = self._clock() + LOOK
        with contextlib.suppress(MlflowException, OSError):
            self._wish = pages.taken_wish(self._place, self._study) or self._wish

    def _fall_silent(self) -> None:
        """Another driver tells of these runs now; what waits here is older than what it knows."""
        with self._changed:
            self._outbox, self._closed = Outbox(), True
            self._changed.notify_all()

    def _error_of(self, letter: Letter) -> Exception | None:
        """Whatever it is, it must end neither the thread nor the study."""
        try:
            with self._writing:
                self._write(letter)
        except Exception as error:
            return error
        return None

    def _write(self, letter: Letter) -> None:
        record = letter.record
        if isinstance(record, StudyRecord):
            runs.project_study(self._place, record)
        elif letter.urgent:
            runs.end_early(self._place, record)
        else:
            runs.project_run(self._place, record)


def _is_of_a_file(error: Exception | None) -> bool:
    """Whether MLflow is well, and storage too, but for one file."""
    return isinstance(error, UserError) and not isinstance(error, StorageError)


class Troubles:
    """Tells each kind of trouble once, and once that it is over."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def tell(self, error: Exception) -> None:
        line = reason(error)
        kind = _CHANGING.sub("", line)
        if kind not in self._told:
            self._told.add(kind)
            _say(f"warning: MLflow: {line}")

    def over(self, left: int) -> None:
        if self._told and not left:
            self._told.clear()
            _say("MLflow works again; all is written")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
