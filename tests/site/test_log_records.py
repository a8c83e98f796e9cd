"""Log records without the values of statements."""

import io
import logging

import psycopg
import pytest
from django.db import DatabaseError, connection

from orbit_site.log_records import HideValues, LineFormatter

pytestmark = pytest.mark.django_db
FAILING = "INSERT INTO governance_namespace (name, created_at) VALUES ('secret-name', NULL)"


@pytest.fixture
def log() -> tuple[logging.Logger, io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter())
    handler.addFilter(HideValues())
    logger = logging.getLogger("orbit.test.values")
    logger.handlers, logger.propagate = [], False
    logger.addHandler(handler)
    return logger, stream


def test_a_failed_row_is_in_no_traceback(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = log
    with pytest.raises(DatabaseError, match="secret-name") as caught, connection.cursor() as cursor:
        cursor.execute(FAILING)
    try:
        raise RuntimeError("the request failed") from caught.value
    except RuntimeError:
        logger.exception("error")
    assert "violates not-null constraint" in stream.getvalue()
    assert "Failing row" not in stream.getvalue()
    assert "secret-name" not in stream.getvalue().replace(FAILING, "")


def test_an_error_in_a_message_is_shortened_too(
    log: tuple[logging.Logger, io.StringIO],
) -> None:
    logger, stream = log
    with pytest.raises(DatabaseError) as caught, connection.cursor() as cursor:
        cursor.execute(FAILING)
    assert isinstance(caught.value.__cause__, psycopg.Error)
    logger.error("can't save: %s", caught.value)
    assert "violates not-null constraint" in stream.getvalue()
    assert "secret-name" not in stream.getvalue()
