"""OTEL_* variables that can't be right: the start names them, and no secret."""

import logging
import subprocess
import sys

import pytest

from orbit_site.settings import environment, names, variables
from tests.support.database import PROJECT

SECRET = "Bearer the-secret"


@pytest.mark.parametrize(
    "value", ["localhost:4318", "http://[bad", "ftp://x", "http://", "http://u:the-secret@x:port"]
)
def test_an_endpoint_that_is_no_address_is_refused_without_its_value(value: str) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=PROJECT,
        env={"PATH": "/usr/bin:/bin", "ORBIT_ENV": "test", "OTEL_EXPORTER_OTLP_ENDPOINT": value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "OTEL_EXPORTER_OTLP_ENDPOINT is not an address of HTTP" in done.stderr
    assert "the-secret" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_url_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variables, "TABLE", [])
    monkeypatch.setenv("OTEL_X", "")
    assert variables.url("OTEL_X", "doc") == ""


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", True),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", False),
        ("OTEL_EXPORTER_OTLP_HEADERS", SECRET, True),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", f"a=b,{SECRET}", True),
        ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20the-secret,a=b", False),
    ],
)
def test_other_variables_are_named_in_a_warning(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: bool
) -> None:
    monkeypatch.setattr(environment, "ORBIT_TRACING", True)
    monkeypatch.setenv(name, value)
    sentences = [sentence for sentence in names.warnings() if sentence.startswith(name)]
    assert bool(sentences) == says
    assert not any("the-secret" in sentence for sentence in sentences)


def test_the_sdk_writes_no_header_to_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from orbit.tracing import exporter

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", SECRET)
    with caplog.at_level(logging.DEBUG):
        exporter.Exporter().stop(2.0)
    assert "the-secret" not in caplog.text
