LISTEN on a dedicated connection, opened lazily: a connection must not survive a fork.
