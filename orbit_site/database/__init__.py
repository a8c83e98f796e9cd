"""Django's PostgreSQL backend, with one more look at a connection that is used again."""
