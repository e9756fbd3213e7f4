"""Install what requirements.lock names into .venv. `make demo`, `make test` and `make lock` call this.

    python3 install.py                    install, or go on where an install was stopped
    python3 install.py lock [OPTION...]   renew the locks, here and in docker/; options of `uv pip compile`

pip fetches uv, and uv installs the rest, because it is several times as fast as pip. Both compare
every file with its sha256 in requirements.lock. Only the standard library is used, and no syntax
that Python 2 lacks: an old Python must be able to read this file to say that it is too old.
"""

import sys

if sys.version_info < (3, 11):
    sys.stderr.write(
        "error: %s is Python %d.%d; afdcd needs 3.11 or later: make PYTHON=python3.11\n"
        % ((sys.executable,) + sys.version_info[:2])
    )
    sys.exit(2)

import os
import re
import select
import shutil
import ssl
import subprocess
import tempfile
import time
from pathlib import Path

from install_errors import SIZE, explain

ROOT = Path(__file__).resolve().parent
LOCK = ROOT / "requirements.lock"
IMAGES = ROOT / "docker"  # its locks hold what an image needs, in the versions of LOCK
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
UV = VENV / "bin" / "uv"
STARTED = VENV / "installing"  # there while .venv is not whole
INSTALLED = VENV / "installed"  # make looks at this one

SECONDS_BETWEEN_LINES = 10.0

# uv does not read pip's configuration. A mirror or a certificate that is set there is handed on.
PIP_SETTINGS = {"index-url": "UV_DEFAULT_INDEX", "cert": "SSL_CERT_FILE", "proxy": "ALL_PROXY"}


class InstallError(Exception):
    """One line: what is wrong, and the remedy."""


def main(arguments):
    if arguments and arguments[0] != "lock":
        sys.stderr.write(__doc__)
        return 2
    try:
        if not is_ready():
            prepare()
        if arguments:
            renew_locks(arguments[1:])
        else:
            install()
    except InstallError as error:
        sys.stderr.write("error: %s\n" % error)
        return 2
    except OSError as error:
        sys.stderr.write("error: %s\n" % explained("%s: %s" % (error.filename, error.strerror)))
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the same command goes on\n")
        return 130
    return 0


def is_ready():
    """Whether .venv is whole, of this Python, and holds the uv that the lock names."""
    return (
        not STARTED.exists()
        and version_in_venv() == sys.version_info[:2]
        and printed_by(UV, "--version").split()[1:2] == [locked_uv()[0]]
    )


def prepare():
    """Make .venv with uv in it."""
    found, wanted = version_in_venv(), sys.version_info[:2]
    if STARTED.exists() or (INSTALLED.exists() and found != wanted):
        say("emptying %s: half installed, or of another Python" % VENV)
        empty(VENV)
    elif found not in (None, wanted):
        raise InstallError(
            "%s is of Python %d.%d, and not from this command. Remove it, or make PYTHON=%s"
            % ((VENV,) + found + (PYTHON.resolve(),))
        )
    say("making %s with Python %d.%d; it will take %s" % ((VENV,) + wanted + (SIZE,)))
    VENV.mkdir(exist_ok=True)
    STARTED.touch()
    INSTALLED.unlink(missing_ok=True)
    base = getattr(sys, "_base_executable", sys.executable)  # sys.executable may lie in .venv
    call([base, "-m", "venv", VENV])
    version, lines = locked_uv()
    say("fetching uv %s" % version)
    with tempfile.NamedTemporaryFile("w", suffix=".txt", dir=str(VENV)) as requirement:
        requirement.write(lines)
        requirement.flush()
        pip = [PYTHON, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"]
        call(pip + ["--require-hashes", "-r", requirement.name])
    STARTED.unlink()


def empty(folder):
    STARTED.touch()  # stays to the end: this may be stopped, too
    for entry in folder.iterdir():
        if entry == STARTED:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def install():
    start = time.monotonic()
    say("installing what requirements.lock names, at first up to 3.5 GB to download")
    INSTALLED.unlink(missing_ok=True)
    STARTED.touch()
    command, environment = [UV, "pip", "install", "--python", PYTHON], uv_environment()
    call(command + ["--require-hashes", "--only-binary", ":all:", "-r", LOCK], environment)
    call(command + ["--no-deps", "--no-build-isolation", "--editable", ROOT], environment)
    STARTED.replace(INSTALLED)
    say("installed in %d s" % (time.monotonic() - start))


def renew_locks(options):
    """Compile pyproject.toml anew, then the locks of the images from what that gave."""
    renew(LOCK, ["pyproject.toml", "--all-extras"] + options)
    if not IMAGES.exists():
        return
    same = ["--constraint", LOCK]
    renew(IMAGES / "requirements.lock", ["pyproject.toml", "--extra", "postgres"] + same)
    for source in sorted(IMAGES.glob("*.in")):
        renew(source.with_suffix(".lock"), [source] + same + options)


def renew(lock, arguments):
    """Compile one lock. Versions stay as they are unless an option says otherwise."""
    say("renewing %s" % lock)
    new = lock.with_suffix(".new")
    # uv keeps the hashes that it finds, a wrong one too: it is shown the versions alone.
    known = lock.read_text() if lock.exists() else ""
    new.write_text(re.sub(r" \\$|^ .*\n", "", known, flags=re.MULTILINE))
    form = ["--universal", "--python-version", "3.11", "--generate-hashes"]
    form += ["--no-header", "--no-annotate", "--output-file", new]
    try:
        call([UV, "pip", "compile", "--quiet"] + arguments + form, uv_environment())
        new.replace(lock)
    finally:
        new.unlink(missing_ok=True)


def call(command, environment=None):
    """Run a command and show how far it is.

    Raises:
        InstallError: it failed; what it printed, as one line.
    """
    start = shown = time.monotonic()
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=str(ROOT),
        env=dict(environment or os.environ, COLUMNS="1000"),  # no line is cut: they are searched
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, ended, terminal = b"", False, sys.stdout.isatty()
    try:
        while not ended:
            if select.select([process.stdout], [], [], 0.2)[0]:
                data = os.read(process.stdout.fileno(), 65536)
                output += data
                ended = not data
            if time.monotonic() - shown > (0.5 if terminal else SECONDS_BETWEEN_LINES):
                shown = time.monotonic()
                show(progress(output.decode(errors="replace"), shown - start), terminal)
    except BaseException:
        process.kill()
        raise
    finally:
        process.wait()
        show("", terminal)
    if process.returncode:
        raise InstallError(explained(output.decode(errors="replace")))


def progress(output, seconds):
    """How far uv is: it announces the beginning and the end of each large download."""
    begun = re.findall(r"^Downloading (\S+) \((.+)\)", output, re.MULTILINE)
    ended = set(re.findall(r"^ Downloaded (\S+)", output, re.MULTILINE))
    waiting = ["%s %s" % (name, size) for name, size in begun if name not in ended]
    line = "  %d s" % seconds
    if begun:
        line += ": %d of %d large files are here" % (len(ended), len(begun))
    if waiting:
        line += ", waiting for %s" % ", ".join(waiting[:3])
        line += " and %d more" % (len(waiting) - 3) if len(waiting) > 3 else ""
    return line


def show(line, terminal):
    """On a terminal in place of the line before, and an empty line removes that one."""
    if terminal:
        sys.stdout.write("\r\033[K" + line[: shutil.get_terminal_size().columns - 1])
        sys.stdout.flush()
    elif line:
        say(line)


def say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def explained(output):
    cache = printed_by(UV, "cache", "dir").strip() or Path.home() / ".cache" / "uv"
    return explain(output, VENV, Path(cache))


def version_in_venv():
    """Of its Python, if that runs and has pip."""
    printed = printed_by(PYTHON, "-c", "import sys, pip; print(*sys.version_info[:2])")
    return tuple(int(part) for part in printed.split()) or None


def locked_uv():
    """The version of uv in requirements.lock, and its lines there with the hashes."""
    found = re.search(r"^uv==(\S+)(?:.*\\\n)*.*\n", LOCK.read_text(), re.MULTILINE)
    if found is None:
        raise InstallError(
            "%s names no uv. Take the committed one: git checkout %s" % (LOCK, LOCK.name)
        )
    return found.group(1), found.group(0)


def uv_environment():
    """What is set for uv counts, then what is set for pip, then the certificates of the system."""
    found = dict(os.environ)
    configured = printed_by(PYTHON, "-m", "pip", "config", "list")
    for name, value in re.findall(r"^\S+\.([\w-]+)='(.*)'$", configured, re.MULTILINE):
        if name in PIP_SETTINGS:
            found.setdefault(PIP_SETTINGS[name], value)
    if ssl.create_default_context().cert_store_stats()["x509_ca"]:
        found.setdefault("UV_SYSTEM_CERTS", "1")
    return found


def printed_by(*command):
    """What a command printed; nothing if there is no such command or it failed."""
    try:
        output = subprocess.check_output([str(p) for p in command], stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return output.decode()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
