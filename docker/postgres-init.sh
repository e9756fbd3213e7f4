#!/bin/sh
# Run by the image of PostgreSQL when its volume is empty: a role and a database for studies, and one for MLflow.
# psql takes the passwords from the environment: on a command line every process could read them.
set -eu
for name in afdcd mlflow; do
    case $name in
        afdcd) export ROLE_PASSWORD="$AFDCD_DB_PASSWORD" ;;
        mlflow) export ROLE_PASSWORD="$MLFLOW_DB_PASSWORD" ;;
    esac
    psql --set=ON_ERROR_STOP=1 --set=name="$name" --username="${POSTGRES_USER:-postgres}" --dbname=postgres <<'SQL'
\getenv password ROLE_PASSWORD
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name" TEMPLATE template0 ENCODING 'UTF8';
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
done
