#!/bin/sh
# Run once by the database's container, on an empty volume. Creates the role that owns the tables, the
# role that the processes use, and the database.
set -eu
psql --no-psqlrc --set=ON_ERROR_STOP=1 --set=owner="${ORBIT_OWNER_PASSWORD:?}" --set=app="${ORBIT_APP_PASSWORD:?}" --username="$POSTGRES_USER" --dbname=postgres <<'SQL'
CREATE ROLE orbit_owner LOGIN PASSWORD :'owner';
CREATE ROLE orbit_app LOGIN PASSWORD :'app';
CREATE DATABASE orbit OWNER orbit_owner TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C';
REVOKE CONNECT ON DATABASE orbit FROM PUBLIC;
GRANT CONNECT ON DATABASE orbit TO orbit_app;
SQL
