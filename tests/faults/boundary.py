"""Every call of a study to its database, to MLflow and to storage, counted; one of them is disturbed."""

import contextlib
import errno
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial, wraps
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from pyarrow import fs
from sqlalchemy.exc import OperationalError

from afdcd import storage
from afdcd.search import leases
from afdcd.tracking import server
from tests.faults.clock import Clock

HANG = 200.0  # seconds
REFUSED, UNHEARD, HUNG, KILLED, ALL_KILLED = "refused", "unheard", "hung", "killed", "all killed"
MODES = (REFUSED, UNHEARD, HUNG, KILLED, ALL_KILLED)

OPTUNA = (
    *("create_new_study", "get_study_id_from_name", "get_study_name_from_id"),
    *("get_study_directions", "get_study_user_attrs", "get_study_system_attrs"),
    *("set_study_user_attr", "set_study_system_attr", "_create_new_trial", "_set_trial_param"),
    *("set_trial_state_values", "set_trial_intermediate_value", "set_trial_user_attr"),
    *("set_trial_system_attr", "get_trial", "_get_trials"),
)
READS = ("get_", "_get_", "read", "search_", "list_", "exists", "size", "names", "walk", "sha256")
LEASES = ("read", "claim", "write")
STORAGE = (
    *("exists", "size", "read_bytes", "sha256", "names", "walk", "remove", "remove_folder"),
    *("write_bytes", "write_once"),
)


def modes(call: str) -> list[str]:
    """In which ways a call can be disturbed so that something else may follow from each."""
    who, _, what = call.partition(" ")
    reads = what.partition(".")[2].startswith(READS)  # whose answer is all there is to them
    left_out = {UNHEARD if reads else "", ALL_KILLED if who == "driver" else ""}
    return [mode for mode in MODES if mode not in left_out]


class KilledError(BaseException):
    """The driver's process is gone, and with it those of its runs."""


class WorkerKilledError(BaseException):
    """The process of a run is gone."""


@dataclass
class Boundary:
    """What lies between a study and what it does not rule over.

    Attributes:
        at: which call is disturbed; None: none is.
        before: told the number of each call that is about to be made.
        calls: who called what, in order.
        worker: whether the process of a run is at work, else the driver's is.
    """

    clock: Clock
    at: int | None = None
    mode: str = REFUSED
    before: Callable[[int], None] = lambda number: None
    calls: list[str] = field(default_factory=list)
    worker: bool = False
    dead: bool = False
    worker_dead: bool = False
    _inside: bool = False

    @property
    def _is_worker(self) -> bool:
        return self.worker and self.clock.current is None  # threads are the driver's

    def through(self, what: str, call: Callable[[], Any], fail: Callable[[bool], Any]) -> Any:
        """Make a call.

        Args:
            fail: makes it fail as it does in reality, given whether it takes effect.
        """
        if self._inside:
            return call()
        self._check_alive()
        self.calls.append(f"{'worker' if self._is_worker else 'driver'} {what}")
        self.before(len(self.calls) - 1)
        disturbed = self.at == len(self.calls) - 1
        if disturbed and self.mode in (KILLED, ALL_KILLED):
            self.worker_dead, self.dead = True, not self._is_worker or self.mode == ALL_KILLED
            self._check_alive()
        if disturbed and self.mode == HUNG:
            self.clock.sleep(HANG)
            self._check_alive()
        with self._within():
            return fail(self.mode == UNHEARD) if disturbed else call()

    def _check_alive(self) -> None:
        """The dead make no calls, whatever of our code still runs as the process unwinds."""
        if self.dead:
            raise KilledError
        if self.worker_dead and self._is_worker:
            raise WorkerKilledError

    @contextlib.contextmanager
    def _within(self) -> Iterator[None]:
        self._inside = True
        try:
            yield
        finally:
            self._inside = False

    def install(self, patch: pytest.MonkeyPatch) -> None:
        for name in OPTUNA:
            patch.setattr(RDBStorage, name, self._method(getattr(RDBStorage, name)))
        for name in LEASES:
            call = getattr(leases, name)
            patch.setattr(leases, name, self._function(f"lease.{name}", call, _away))
        for name in STORAGE:
            call = getattr(storage, name)
            patch.setattr(storage, name, self._function(f"storage.{name}", call, _disk_full))
        patch.setattr(server, "MlflowClient", lambda: Client(self))

    def _method(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def called(owner: Any, *args: Any, **kwargs: Any) -> Any:
            call = partial(method, owner, *args, **kwargs)
            return self.through(f"optuna.{method.__name__}", call, partial(_locked, call))

        return called

    def _function(
        self, name: str, function: Callable[..., Any], fail: Callable[..., Any]
    ) -> Callable[..., Any]:
        @wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            call = partial(function, *args, **kwargs)
            what = f"{name} {args[0].rpartition('/')[2]}" if fail is _disk_full else name
            return self.through(what, call, partial(fail, call))

        return called


class Client:
    """MLflow's client behind a boundary."""

    def __init__(self, boundary: Boundary) -> None:
        self._real, self._boundary = MlflowClient(), boundary

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._real, name)

        def called(*args: Any, **kwargs: Any) -> Any:
            call = partial(method, *args, **kwargs)
            return self._boundary.through(f"mlflow.{name}", call, partial(_silent, call, name))

        return called


def _locked(call: Callable[[], Any], after: bool) -> None:
    if after:
        call()
    raise StorageInternalError("database is locked")


def _away(call: Callable[[], Any], after: bool) -> None:
    if after:
        call()
    raise OperationalError("SELECT", {}, Exception("server closed the connection unexpectedly"))


def _silent(call: Callable[[], Any], name: str, after: bool) -> None:
    if after:
        call()
    if "artifact" in name:
        raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
    raise MlflowException("API request failed: too many 500 error responses")


def _disk_full(call: Callable[[], Any], after: bool) -> Any:
    """The call with a file system that fails, so that our own code says what it says then."""
    real = storage.resolve
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "resolve", lambda uri: (Failing(real(uri)[0], after), real(uri)[1]))
        return call()


class Failing:
    """A file system on which nothing works; or everything does, but for the answer of the last step."""

    LAST = ("move", "delete_file", "delete_dir", "get_file_info", "open_input_stream")

    def __init__(self, files: fs.FileSystem, after: bool) -> None:
        self._files, self._after, self.type_name = files, after, files.type_name

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._files, name)

        def called(*args: Any, **kwargs: Any) -> Any:
            if self._after:
                answer = method(*args, **kwargs)
                if name not in self.LAST:
                    return answer
            raise OSError(errno.ENOSPC, "No space left on device")

        return called
