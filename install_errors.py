"""What pip, uv and venv print when they fail, as one line that says what is wrong and the remedy."""

import re
import shutil
import tempfile
from pathlib import Path

SIZE = "7 GB"  # of a whole .venv
NEARLY_FULL = 64 * 2**20  # bytes; venv does not say why it failed
AGAIN = "then the same command goes on"

REFUSED = "(?:Permission denied|Read-only file system|File exists|Not a directory)"
NO_ACCESS = "cannot write to %s, or run what is in it. Remove it or make it yours, " + AGAIN
# What pip, uv and venv print, and what a person is told. `%s` is what the parentheses match.
KNOWN_ERRORS = (
    (
        r"Hash mismatch for `([^`]+)",
        "%s: the file that came is not the one that requirements.lock names (sha256). It is damaged, or "
        "somebody changed it. Try again; if the new file is meant: make lock",
    ),
    (
        r"(?:none were provided for: |no trusted hash was provided for: `)([^\s`]+)",
        "%s: requirements.lock has no hash for it. Renew it: make lock",
    ),
    (  # pip fetches uv alone, and without uv there is no make lock
        r"(?:DO NOT MATCH THE HASHES|Hashes are required)[^\n]*\n\s+(\S+)",
        "%s: requirements.lock has no hash, or another one, for the file that came. Try again, or take "
        "the committed lock: git checkout requirements.lock",
    ),
    (
        r"(?:Because |and )(\S+) has no (?:usable )?wheels",
        "%s: there is no wheel for this Python on this machine. Take another: make PYTHON=python3.11",
    ),
    (
        r"(invalid peer certificate|CERTIFICATE_VERIFY_FAILED)",
        "the package index has a certificate that is not trusted here (%s). Set SSL_CERT_FILE to the "
        "certificates of your network, " + AGAIN,
    ),
    (
        r"(dns error|error sending request|error decoding response|timed out|NewConnectionError"
        r"|NameResolutionError|Max retries|ConnectTimeout|ReadTimeout|Network is unreachable"
        r"|network was disabled)",
        "the package index cannot be reached (%s). Check the network, HTTPS_PROXY and "
        "UV_DEFAULT_INDEX, " + AGAIN,
    ),
    (
        r"ensurepip is not\s+available[\s\S]*?(apt install \S+)",
        "this Python lacks venv: %s, " + AGAIN,
    ),
    (REFUSED + r"[^\n]*?[\"'](/[^\"'\n]+)", NO_ACCESS),
    (r"([^\s`'\"]+)[`'\"]?: " + REFUSED, NO_ACCESS),
    (r"Unable to create directory '(.*)'", NO_ACCESS),
)


def explain(output: str, venv: Path, cache: Path) -> str:
    """The one line that a person needs of what a command printed.

    Args:
        venv, cache: .venv and uv's cache, the two places that an install fills.
    """
    if re.search("No space left|Disk quota exceeded", output) or free_bytes(venv) < NEARLY_FULL:
        return _no_space(output, venv, cache)
    for pattern, message in KNOWN_ERRORS:
        found = re.search(pattern, output)
        if found:
            named = found.group(1)
            return message % (venv if named.startswith(str(venv)) else named)
    lines = [line.strip() for line in output.splitlines() if line.strip()] or ["no output"]
    causes = [line for line in lines if re.match(r"(?i)(error|cause)\b", line)] or lines[-1:]
    words = [re.sub(r"(?i)^(error|cause):\s*", "", line) for line in (causes[0], causes[-1])]
    return "; ".join(dict.fromkeys(words))


def _no_space(output: str, venv: Path, cache: Path) -> str:
    places = [venv, cache, Path(tempfile.gettempdir())]
    written = re.search(r"(/[^\s`'\"]+)[`'\"]?: No space", output)
    named = [place for place in places if written and written.group(1).startswith(str(place))]
    # The longest, because uv's cache may be below the temporary folder.
    full = max(named, key=lambda place: len(str(place))) if named else min(places, key=free_bytes)
    return (
        f"no space left in {full} ({free_bytes(full) / 1e6:.0f} MB free). An install takes {SIZE} in "
        f"{venv}, and as much in {cache} if that is on another disk. Make room or set UV_CACHE_DIR, "
        f"{AGAIN}"
    )


def free_bytes(place: Path) -> int:
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free
