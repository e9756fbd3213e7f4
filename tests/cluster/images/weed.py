#!/opt/venv/bin/python
"""`weed server -s3 -s3.port=P -s3.config=FILE`: moto's S3, open to the keys of that file alone."""

import json
import sys
from pathlib import Path
from urllib.parse import unquote

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

OPTIONS = dict(word.lstrip("-").partition("=")[::2] for word in sys.argv[2:])
IDENTITIES = json.loads(Path(OPTIONS["s3.config"]).read_text())["identities"]
KEYS = [key["accessKey"] for identity in IDENTITIES for key in identity["credentials"]]
MOTO = DomainDispatcherApplication(create_backend_app)


def serve(environ, start):
    if environ["PATH_INFO"] == "/healthz":
        start("200 OK", [])
        return [b""]
    signed = environ.get("HTTP_AUTHORIZATION", "") + unquote(environ.get("QUERY_STRING", ""))
    if not any(f"Credential={key}/" in signed for key in KEYS):
        start("403 Forbidden", [])
        return [b"<Error><Code>InvalidAccessKeyId</Code></Error>"]
    return MOTO(environ, start)


run_simple("0.0.0.0", int(OPTIONS["s3.port"]), serve, threaded=True)
