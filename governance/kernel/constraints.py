"""Which constraint a write violated: only the expected one becomes a refusal."""

import psycopg
from django.db import IntegrityError


def violated(error: IntegrityError) -> str:
    """Return the name of the violated constraint or index; "" for NOT NULL."""
    cause = error.__cause__
    return (cause.diag.constraint_name or "") if isinstance(cause, psycopg.Error) else ""
