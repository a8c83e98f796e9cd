SELECT datname
FROM pg_database
WHERE datallowconn
