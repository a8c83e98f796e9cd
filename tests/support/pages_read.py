"""How much a statement reads."""

import json
from typing import Any

import psycopg
from django.db import connection, transaction

from governance.kernel import sql


def pages_read(statement: sql.Statement, **values: Any) -> int:
    """Return how many pages the statement reads; nothing that it does stays."""
    with connection.cursor() as cursor:
        text = psycopg.ClientCursor(cursor.connection).mogrify(statement.text, values or None)
    return explained(text)


def explained(text: str) -> int:
    """Return how many pages ``text`` reads; nothing that it does stays."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + text)
        (document,) = cursor.fetchone()
        transaction.set_rollback(True)
    plan = (json.loads(document) if isinstance(document, str) else document)[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
