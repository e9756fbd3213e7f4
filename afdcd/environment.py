"""Every environment variable that afdcd reads, in one place.

What is read by others (AWS's keys, Ray's tokens) is listed too, for a person who sets up a machine or
a cluster. `python -m tests.variables` writes the table in README.md anew.
"""

import getpass
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

from afdcd.config import UserError
from afdcd.paths import NO_KEYS, expanded_path
from afdcd.text import shown

SQLITE, STUDY_FILE = "sqlite:///", "study.db"
# Milliseconds of Ray 2.60: how long it is silent before it asks, and waits for an answer then.
KEEPALIVE = {
    "RAY_grpc_client_keepalive_time_ms": 300_000,
    "RAY_grpc_client_keepalive_timeout_ms": 120_000,
}


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable: what it says, and what holds while it is not set."""

    name: str
    meaning: str
    default: str
    secret: bool = False


VARIABLES = (
    Variable(
        "AFDCD_STORAGE",
        "where checkpoints and weights go: a path or `s3://...` that every node sees",
        "`~/afdcd-runs`",
    ),
    Variable("MLFLOW_TRACKING_URI", "the MLflow server", "SQLite in `AFDCD_STORAGE`"),
    Variable("MLFLOW_TRACKING_USERNAME", "who asks it, where it has users", "nobody"),
    Variable("MLFLOW_TRACKING_PASSWORD", "the password of that user", "none", secret=True),
    Variable("MLFLOW_EXPERIMENT_NAME", "the MLflow experiment that holds all studies", "`afdcd`"),
    Variable("AFDCD_STUDY_DB", "the study database (SQLAlchemy URL)", "SQLite in `AFDCD_STORAGE`"),
    Variable("PGPASSWORD", "its password, if PostgreSQL and not in the URL", "none", secret=True),
    Variable("AFDCD_GIT_COMMIT", "the commit of the code, for images without git", "asked of git"),
    Variable("AFDCD_VERBOSE", "`1` shows the workers' own output", "off"),
    Variable(
        "AFDCD_MAX_MEGAPIXELS", "the largest picture that is read, in millions of pixels", "`200`"
    ),
    Variable("RAY_ADDRESS", "the Ray cluster; set in a submitted job", "a local cluster"),
    Variable("RAY_TMPDIR", "where a local cluster keeps sockets and logs", "`TMPDIR` or `/tmp`"),
    Variable("TMPDIR", "temporary files; a path too long for sockets is replaced", "`/tmp`"),
    Variable("RAY_AUTH_MODE", "`token` on head, workers and submitter", "Ray's own rules"),
    Variable("RAY_AUTH_TOKEN", "the token, the same on all of them", "see the next", secret=True),
    Variable("RAY_AUTH_TOKEN_PATH", "a file that holds it", "`~/.ray/auth_token`"),
    Variable(
        "RAY_grpc_client_keepalive_time_ms",
        "`10000` on every Ray process: a cut host is noticed soon",
        "`300000`",
    ),
    Variable(
        "RAY_grpc_client_keepalive_timeout_ms", "`5000`, to the same end", "`120000`: 420 s in all"
    ),
    Variable("RAY_JOB_STOP_WAIT_TIME_S", "`30` on the head: a stopped job closes its runs", "`3`"),
    Variable("RAY_USAGE_STATS_ENABLED", "`0`: Ray tells its makers nothing", "`1`"),
    Variable("AWS_ACCESS_KEY_ID", "the key to `s3://...`", "AWS's own rules", secret=True),
    Variable("AWS_SECRET_ACCESS_KEY", "its secret", "AWS's own rules", secret=True),
    Variable(
        "AWS_DEFAULT_REGION", "the region of the store; any word for most others", "AWS's own rules"
    ),
    Variable("AWS_ENDPOINT_URL", "where an S3 store is that is not AWS's", "AWS"),
    Variable("CC", "the C compiler that Triton starts its kernels with", "gcc or clang"),
)

# What other libraries are told unless a person told them otherwise. Each reads its own once, some
# while they are imported.
MLFLOW_DEFAULTS = {
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    # Files go through the server: it may know its store by a name that nobody knows elsewhere.
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}
TUNE_DEFAULTS = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
}


_STAND_IN = "afdcd-home-"
# A socket's path has at most 107 characters on Linux; what Ray adds to the folder leaves this many.
LONGEST_TEMPORARY = 107 - len(
    "/ray/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store"
)


def store_defaults(root: str) -> dict[str, str]:
    """What the options of an `s3://...?...` say, for those who read only the environment: MLflow."""
    options = dict(parse_qsl(root.partition("?")[2])) if root.startswith("s3://") else {}
    found = {}
    if endpoint := options.get("endpoint_override"):
        scheme = "" if "://" in endpoint else f"{options.get('scheme', 'https')}://"
        found["MLFLOW_S3_ENDPOINT_URL"] = scheme + endpoint
    if region := options.get("region"):
        found["AWS_DEFAULT_REGION"] = region
    return found


def set_defaults(values: Mapping[str, str]) -> None:
    """Set what is not set yet; what a person set stays."""
    for name, value in values.items():
        os.environ.setdefault(name, value)


def inherited(**changes: str) -> dict[str, str]:
    """The environment of a process that is started from here: this one's, with some changes."""
    return {**os.environ, **changes}


def storage_root() -> str:
    """Where runs, checkpoints and the default databases live: AFDCD_STORAGE, a path or URI.

    Raises:
        UserError: it is not set and there is no home folder to use instead, or it holds a key.
    """
    root = given("AFDCD_STORAGE") or str(_home() / "afdcd-runs")
    if shown(root) != root:
        raise UserError(f"AFDCD_STORAGE={shown(root)}: {NO_KEYS}")
    return root if "://" in root else str(expanded_path(root).absolute())


def storage_is_given() -> bool:
    """Whether a command that reads the same storage must be told where it is."""
    return given("AFDCD_STORAGE") is not None


def tracking_uri() -> str:
    """The MLflow tracking URI.

    Raises:
        UserError: storage is remote and no server is named: a SQLite file cannot live there.
    """
    return given("MLFLOW_TRACKING_URI") or _sqlite("mlflow.db", "MLFLOW_TRACKING_URI")


def experiment_name() -> str:
    """The MLflow experiment that holds all studies."""
    return given("MLFLOW_EXPERIMENT_NAME") or "afdcd"


def study_database() -> str:
    """The SQLAlchemy URL of the study database: AFDCD_STUDY_DB, else a SQLite file."""
    return given("AFDCD_STUDY_DB") or _sqlite(STUDY_FILE, "AFDCD_STUDY_DB")


def study_file() -> Path | None:
    """The study database where it is a SQLite file of this machine; nothing is made, or imported."""
    if url := given("AFDCD_STUDY_DB"):
        path, _, _ = url.removeprefix(SQLITE).partition("?")
        return Path(path) if url.startswith(SQLITE) else None
    root = storage_root()
    return None if "://" in root else Path(root) / STUDY_FILE


def ray_address() -> str | None:
    """The cluster to join; None where one is started on this machine.

    Raises:
        UserError: the page of a cluster, to which jobs are submitted, in place of the cluster.
    """
    address = given("RAY_ADDRESS")
    if address and address.startswith(("http://", "https://")):
        raise UserError(
            f"RAY_ADDRESS={shown(address)}: the page of a cluster; submit a job there (`ray job submit "
            "--working-dir . -- python -m afdcd.tune ...`), or give HOST:6379 or `auto` on one of its nodes"
        )
    return address


def auth_mode() -> str | None:
    """How Ray's ports are guarded, where a person said it: `token` or `disabled`."""
    return given("RAY_AUTH_MODE")


def token_is_given() -> bool:
    """Whether a person decided how Ray's ports are guarded."""
    return any(given(n) for n in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))


def short_temporary_folder() -> str | None:
    """The temporary folder, or one of our own where its path is too long for sockets.

    Ray and multiprocessing keep their sockets there, and SLURM makes long ones. All that this
    process starts uses it too. None where no folder can be written.
    """
    usual = given("RAY_TMPDIR") or given("TMPDIR") or "/tmp"
    if len(usual) <= LONGEST_TEMPORARY and os.access(usual, os.W_OK):
        return usual
    for place in ("/tmp", "/var/tmp", "/dev/shm"):
        if os.access(place, os.W_OK):
            own = tempfile.mkdtemp(prefix="afdcd-", dir=place)
            os.environ |= {"TMPDIR": own, "RAY_TMPDIR": own}
            tempfile.tempdir = None  # Python remembers the folder it found first
            return own
    return None


def stand_in_for_user() -> None:
    """Name and home of a user that this machine does not know, as in many containers.

    Libraries ask for both while they are imported. What is worth keeping never goes to that home:
    `storage_root` refuses it.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError):  # OSError: from Python 3.13 on
        set_defaults({"USER": f"uid{os.getuid()}"})
    try:
        Path.home()
    except RuntimeError:
        set_defaults({"HOME": tempfile.mkdtemp(prefix=_STAND_IN)})


def verbose() -> bool:
    """Workers' own output is in Ray's logs; AFDCD_VERBOSE=1 also shows it to the person."""
    return given("AFDCD_VERBOSE") == "1"


def max_megapixels() -> float:
    """The largest picture that is read, in millions of pixels.

    To label 50 took 2.7 GB of memory with --window 512 512 and 6.4 GB whole, with a small network.

    Raises:
        UserError: AFDCD_MAX_MEGAPIXELS is no positive number.
    """
    text = given("AFDCD_MAX_MEGAPIXELS") or "200"
    try:
        most = float(text)
    except ValueError:
        most = 0
    if not most > 0:
        raise UserError(f"AFDCD_MAX_MEGAPIXELS={text}: must be a positive number, e.g. 400")
    return most


def git_commit() -> str | None:
    """The commit of the code that runs, where an image without git says it."""
    return given("AFDCD_GIT_COMMIT")


def c_compiler() -> str | None:
    return given("CC")


def given(name: str) -> str | None:
    """An empty variable counts as one that is not set, as in most shells' scripts."""
    return os.environ.get(name) or None


def _home() -> Path:
    home = Path.home()
    if home.name.startswith(_STAND_IN):
        raise UserError(
            "AFDCD_STORAGE is not set, and there is no home folder to keep results in: set "
            "AFDCD_STORAGE to a folder that may be written to"
        )
    return home


def _sqlite(name: str, variable: str) -> str:
    root = storage_root()
    if "://" in root:
        raise UserError(
            f"AFDCD_STORAGE is {root}, so {variable} must name a database or server: set it"
        )
    try:
        Path(root).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"AFDCD_STORAGE {root}: cannot be made ({error.strerror}); set it to a folder that "
            "may be written to"
        ) from None
    from sqlalchemy import URL  # takes a fifth of a second

    # Built, for a `?` in the path would end it, and two files would be one.
    return URL.create("sqlite", database=f"{root}/{name}").render_as_string(hide_password=False)
