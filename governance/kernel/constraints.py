"""Which constraint a write violated: only the expected one becomes a refusal."""

import psycopg
from django.db import IntegrityError

# unique_violation, foreign_key_violation
_COLLISIONS = {"23505", "23503"}


def violated(error: IntegrityError) -> str:
    """Return the name of the violated constraint or index; "" for NOT NULL."""
    cause = error.__cause__
    return (cause.diag.constraint_name or "") if isinstance(cause, psycopg.Error) else ""


def collision(error: IntegrityError) -> str:
    """Return the constraint if a row exists already or a row that it needs doesn't; else ""."""
    cause = error.__cause__
    if isinstance(cause, psycopg.Error) and cause.sqlstate in _COLLISIONS:
        return cause.diag.constraint_name or ""
    return ""
