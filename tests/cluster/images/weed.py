#!/opt/venv/bin/python
"""`weed server -dir=PLACE -s3 -s3.port=P -s3.config=FILE`: moto's S3, open to the keys of FILE alone.

It serves from memory; what it has when it is told to end lies in PLACE, and is there at the next start.
"""

import json
import signal
import sys
from pathlib import Path
from urllib.parse import unquote
from zipfile import ZipFile

from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

OPTIONS = dict(word.lstrip("-").partition("=")[::2] for word in sys.argv[2:])
IDENTITIES = json.loads(Path(OPTIONS["s3.config"]).read_text())["identities"]
KEYS = [key["accessKey"] for identity in IDENTITIES for key in identity["credentials"]]
MOTO = DomainDispatcherApplication(create_backend_app)
MEMORY = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
KEPT = Path(OPTIONS["dir"]) / "kept.zip"


def remember():
    if not KEPT.exists():
        return
    with ZipFile(KEPT) as kept:
        for name in kept.namelist():
            bucket, _, key = name.partition("/")
            if key:
                MEMORY.put_object(bucket, key, kept.read(name))
            else:
                MEMORY.create_bucket(bucket, "us-east-1")


def keep():
    with ZipFile(KEPT, "w") as kept:
        for name, bucket in MEMORY.buckets.items():
            kept.writestr(f"{name}/", b"")
            for key, held in bucket.keys.items():
                kept.writestr(f"{name}/{key}", held.value)


def end(number, frame):
    raise SystemExit


def serve(environ, start):
    if environ["PATH_INFO"] == "/healthz":
        start("200 OK", [])
        return [b""]
    signed = environ.get("HTTP_AUTHORIZATION", "") + unquote(environ.get("QUERY_STRING", ""))
    if not any(f"Credential={key}/" in signed for key in KEYS):
        start("403 Forbidden", [])
        return [b"<Error><Code>InvalidAccessKeyId</Code></Error>"]
    return MOTO(environ, start)


signal.signal(signal.SIGTERM, end)
remember()
try:
    run_simple("0.0.0.0", int(OPTIONS["s3.port"]), serve, threaded=True)
finally:
    keep()
