"""A name that is meant for Orbit and isn't read is reported, with the right one if one is near."""

import logging
import os
import sys

import pytest

from orbit_site.settings import environment, names, variables


def reported(real: dict[str, str], in_file: tuple[str, ...] = ()) -> list[str]:
    return list(names._warnings({item.name for item in variables.TABLE}, real, in_file))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("orbit_global_pause", "ORBIT_GLOBAL_PAUSE"),
        ("Orbit_Global_Pause", "ORBIT_GLOBAL_PAUSE"),
        ("ORBIT_GLOBALPAUSE", "ORBIT_GLOBAL_PAUSE"),
        ("ORBIT_ALLOWED_HOST", "ORBIT_ALLOWED_HOSTS"),
        ("ORBIT_LANES", "ORBIT_CONCURRENCY"),
        ("ORBIT_PORT", "PORT"),
        ("ORBIT_DATABASE_URL", "DATABASE_URL"),
        ("OBRIT_GLOBAL_PAUSE", "ORBIT_GLOBAL_PAUSE"),
        ("ORBT_GLOBAL_PAUSE", "ORBIT_GLOBAL_PAUSE"),
        ("ORBITGLOBAL_PAUSE", "ORBIT_GLOBAL_PAUSE"),
        ("orbit.global_pause", "ORBIT_GLOBAL_PAUSE"),
    ],
)
def test_a_misspelt_name_is_reported_with_the_right_one(name: str, meant: str) -> None:
    [sentence] = reported({name: "hush"})
    assert sentence == f"This release doesn't use {name}. Did you mean {meant}?"
    assert reported({}, (name,)) == [sentence]


@pytest.mark.parametrize(
    "name",
    [
        "ORBIT_RETENTION_MONTHS",
        "ORBIT_XYZZY",
    ],
)
def test_a_name_of_another_release_gets_no_advice(name: str) -> None:
    assert reported({name: "1"}) == [f"This release doesn't use {name}."]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("DATABASE_URI", "DATABASE_URL"),
        ("database_url", "DATABASE_URL"),
        ("PORTS", "PORT"),
        ("GLOBAL_PAUSE", "ORBIT_GLOBAL_PAUSE"),
        ("ALLOWED_HOSTS", "ORBIT_ALLOWED_HOSTS"),
    ],
)
def test_other_names_are_looked_at_in_the_file_alone(name: str, meant: str) -> None:
    assert reported({name: "hush"}) == []
    sentence = f"Orbit doesn't use {name}, which is in .env. Did you mean {meant}?"
    assert reported({name: "hush"}, (name,)) == [sentence]


def test_names_of_others_are_left_alone() -> None:
    real = {item.name: "" for item in variables.TABLE} | {
        "ORBIT_APP_PASSWORD": "compose",
        "ORBIT_OWNER_PASSWORD": "compose",
        "ORBIT_RELEASE": "compose",
        "ORBIT_SERVICE_HOST": "10.0.0.1",
        "ORBIT_SERVICE_PORT": "3000",
        "ORBIT_SERVICE_PORT_HTTP": "3000",
        "ORBIT_PORT": "tcp://10.0.0.1:3000",
        "ORBIT_PORT_3000_TCP": "tcp://10.0.0.1:3000",
        "ORBIT_PORT_3000_TCP_ADDR": "10.0.0.1",
        "ORBIT_WEB_SERVICE_HOST": "10.0.0.1",
        "ORBIT_WEB_PORT": "tcp://10.0.0.1:3000",
    }
    real |= {"RABBIT_WORKERS": "2", "ORACLE_HOME": "/", "ORB_VERSION": "1", "ORBITAL_URL": "x"}
    assert reported({**real, "HOME": "/root"}, ("HTTPS_PROXY", "TZ", "SSL_CERT_FILE")) == []


def test_it_is_reported_once_for_a_process_and_its_children(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(os, "environ", {"ORBIT_GLOBALPAUSE": "hush"})
    for _ in range(2):
        names.log_once(logging.getLogger("orbit_site.test"))
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "ORBIT_GLOBALPAUSE" in caplog.text
    assert "hush" not in caplog.text


def test_traces_without_their_packages_are_reported_with_how_to_install_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(environment, "ORBIT_TRACING", True)
    assert not any("orbit[otel]" in sentence for sentence in names.warnings())
    for module in [name for name in sys.modules if name.startswith("opentelemetry.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)  # as if it weren't installed
    (sentence,) = [sentence for sentence in names.warnings() if "orbit[otel]" in sentence]
    assert "OTEL_EXPORTER_OTLP_ENDPOINT is set" in sentence
    assert "requirements-otel.txt" in sentence
