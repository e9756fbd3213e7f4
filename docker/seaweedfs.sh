#!/bin/sh
# SeaweedFS reads its keys from a file alone. It is made anew at every start, from the environment.
set -eu
umask 077
cat > /tmp/s3.json <<JSON
{"identities": [{
  "name": "afdcd",
  "credentials": [{"accessKey": "$STORE_ACCESS_KEY", "secretKey": "$STORE_SECRET_KEY"}],
  "actions": ["Admin", "Read", "Write", "List", "Tagging"]
}]}
JSON
# Its other servers ask nobody who he is, so they listen on the container's own loopback.
exec weed server -dir=/data -ip=127.0.0.1 -ip.bind=127.0.0.1 -volume.max=0 -master.volumeSizeLimitMB=1024 \
    -s3 -s3.ip.bind=0.0.0.0 -s3.port=8333 -s3.config=/tmp/s3.json
