"""Which constraint refused a write, so that only the expected one is translated into a refusal."""

import psycopg
from django.db import IntegrityError


def violated(error: IntegrityError) -> str:
    """Return the name of the constraint or unique index that ``error`` is about; "" if it has none, as NOT NULL."""
    cause = error.__cause__
    return (cause.diag.constraint_name or "") if isinstance(cause, psycopg.Error) else ""
