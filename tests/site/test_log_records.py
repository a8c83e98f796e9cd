"""Log records without the values of statements."""

import io
import logging
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from django.db import DatabaseError, connection

from governance.kernel import request_context
from orbit_site.log_records import ContextFilter, HideValues, LineFormatter

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


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.addFilter(ContextFilter())

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def test_a_record_names_the_cycle_and_the_delivery_that_its_thread_works_on() -> None:
    logger, handler = logging.getLogger("orbit.test.context"), _Kept()
    logger.handlers, logger.propagate = [handler], False

    def work(cycle: str) -> None:
        with request_context.about(cycle):
            logger.warning("slow")
            logger.warning("cycle %s is slow", cycle)
            with request_context.about(cycle, "d-1"):
                logger.warning("sent")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, [f"c-{number}" for number in range(20)]))
    logger.warning("after")
    for number in range(20):
        cycle = f"c-{number}"
        lines = [
            (record.getMessage(), vars(record)["ids"])
            for record in handler.records
            if vars(record)["cycle_id"] == cycle
        ]
        assert lines == [
            ("slow", f" [cycle {cycle}]"),
            (f"cycle {cycle} is slow", ""),
            ("sent", f" [cycle {cycle}, delivery d-1]"),
        ]
    last = vars(handler.records[-1])
    assert (last["cycle_id"], last["delivery_id"], last["ids"]) == ("", "", "")
