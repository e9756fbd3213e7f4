#!/bin/bash
# Run once by the image, when the volume is empty: two roles, each with a database that only it may enter.
set -euo pipefail

make() { # NAME PASSWORD
    psql -v ON_ERROR_STOP=1 -v name="$1" -v password="$2" --username postgres --dbname postgres <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name" TEMPLATE template0 ENCODING 'UTF8';
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
}

make afdcd "$AFDCD_PASSWORD"
make mlflow "$MLFLOW_PASSWORD"
