"""A URL that PostgreSQL would refuse, or that loses a part, is refused at the start by name."""

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from orbit_site.settings import database_urls

START = "postgresql://u:hush@h/d"


@pytest.mark.parametrize(
    ("url", "answer"),
    [
        (f"{START}?sslmod=require", "the parameter 'sslmod'.* Did you mean sslmode?"),
        (f"{START}?SSLMODE=require", "the parameter 'SSLMODE'.* Did you mean sslmode?"),
        (f"{START}?conn_max_age=60", "the parameter 'conn_max_age', which PostgreSQL doesn't"),
        (f"{START}?schema=orb", "the parameter 'schema', which PostgreSQL doesn't know"),
        (f"{START}?prepare_threshold=0", "the parameter 'prepare_threshold'"),
        (f"{START}?isolation_level=4", "the parameter 'isolation_level'"),
        (f"{START}?replication=database", "the parameter 'replication'"),
        (f"{START}?sslmode=require&sslmode=disable", "the parameter sslmode twice"),
        (f"{START}?sslmode=maybe", "has sslmode='maybe', which is not one of its values"),
        (f"{START}?target_session_attrs=rw", "has target_session_attrs='rw'"),
        (f"{START}?connect_timeout=abc", "has a connect_timeout that is no whole number"),
        (f"{START}?keepalives_idle=1.5", "has a keepalives_idle that is no whole number"),
        (f"{START}?sslrootcert=/no/ca.crt", "names the sslrootcert '/no/ca.crt', and there is no"),
        (f"{START}?sslcert=/no/a.crt", "names the sslcert '/no/a.crt', and there is no"),
        (f"{START}?client_encoding=latin1", "sets client_encoding. Orbit always uses UTF8"),
        (f"{START}?options=-c%20search_path%3Dx", "sets search_path .* ORBIT_DATABASE_SCHEMA"),
        (f"{START}?options=-csearch_path%3Dx", "sets search_path .* ORBIT_DATABASE_SCHEMA"),
        (f"{START}?options=--search-path%3Dx", "sets search_path .* ORBIT_DATABASE_SCHEMA"),
        (f"{START}?options=-c%20a.b%3D1%20-c%20DateStyle%3DGerman", "sets datestyle in its opt"),
        (f"{START}?options=-c%20timezone%3DEurope/Berlin", "sets timezone in its options"),
        ("postgresql://u:50%hush@h/d", "has a % that escapes nothing. Write %25"),
        ("postgresql://u:a/hush@h/d", "has a / before the @. Write %2F"),
        ("postgresql://u:a/b?hush@h/d", "has something else behind its [?] than parameters"),
        (f"{START}?sslmode=require&", "has something else behind its [?]"),
        ("postgresql://u:hush@one,u:hush@two:5433/d", "names user and password for each host"),
        ("postgresql://u:hush@one:5432,u:hush@two/d", "names user and password for each host"),
        ("postgresql://u:hush%FF@h/d", "escapes a byte that isn't UTF-8"),
        (f"{START}%FC", "escapes a byte that isn't UTF-8"),
        ("postgresql://u:hush@h:70000/d", "has a port that is no number between 1 and 65535"),
        ("postgresql://u:hush@h:0/d", "has a port that is no number between 1 and 65535"),
        ("postgresql://u:hush@h:x/d", "has a port that is no number between 1 and 65535"),
        ("postgresql://u:hush/d", "has a port that is no number .* escape"),
        ("postgresql://u:hush@h", "names no database"),
        ("postgresql://u:hush@h/", "names no database"),
        ("postgresql://u:hush@[::1/d", "can't be read"),
        ("postgresql://u:hush%00@h/d", "can't be read"),
        (f"{START}?sslmode", "can't be read"),
        ("mysql://u:hush@h/d", "must start with postgresql://"),
        ("hush", "must start with postgresql://"),
    ],
)
@pytest.mark.parametrize("name", ["DATABASE_URL", "ORBIT_OWNER_DATABASE_URL"])
def test_a_wrong_url_is_named_and_not_shown(name: str, url: str, answer: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"{name} .*{answer}") as refusal:
        database_urls.parse(url, name)
    assert "hush" not in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (START, {"NAME": "d", "USER": "u", "PASSWORD": "hush", "HOST": "h", "PORT": ""}),
        ("postgres://u:p%40%2F%3A%25@h:6543/d", {"PASSWORD": "p@/:%", "HOST": "h", "PORT": "6543"}),
        ("postgresql://u:p@ss@h/d", {"PASSWORD": "p@ss", "HOST": "h"}),
        ("postgresql://u:p#s?s@h/d", {"PASSWORD": "p#s?s", "HOST": "h"}),
        ("postgresql://u:p@s,s@h/d", {"PASSWORD": "p@s,s", "HOST": "h"}),
        ("postgresql://u:p:s@h/d", {"PASSWORD": "p:s", "HOST": "h"}),
        ("postgresql://u@[::1]:6543/d", {"HOST": "::1", "PORT": "6543"}),
        ("postgresql:///d?host=/tmp/a%20b&user=me", {"HOST": "/tmp/a b", "USER": "me"}),
        ("postgresql://%2Ftmp%2Fa/d", {"HOST": "/tmp/a"}),
        ("postgresql://u@one:1,two:2/d", {"HOST": "one,two", "PORT": "1,2"}),
        ("postgresql://u@h/gr%C3%BC%C3%9Fe", {"NAME": "grüße"}),
    ],
)
def test_what_a_url_says_is_taken(url: str, expected: dict[str, str]) -> None:
    config = database_urls.parse(url, "DATABASE_URL")
    assert {key: config[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("sslmode=verify-full&sslrootcert=system", {"sslmode": "verify-full"}),
        ("ssl=true", {"sslmode": "require"}),
        ("gssencmode=disable&channel_binding=require", {"channel_binding": "require"}),
        ("connect_timeout=7&keepalives=0", {"connect_timeout": 7, "keepalives": 0}),
        ("client_encoding=UTF-8", {}),
        ("application_name=x", {"application_name": "x"}),
    ],
)
def test_parameters_that_postgresql_knows_are_taken(query: str, options: dict[str, str]) -> None:
    taken = database_urls.parse(f"{START}?{query}", "DATABASE_URL")["OPTIONS"]
    assert options.items() <= taken.items()
    assert "client_encoding" not in taken


def test_a_certificate_that_is_there_is_taken(tmp_path: Path) -> None:
    authority = tmp_path / "ca.crt"
    authority.touch()
    url = f"{START}?sslmode=verify-full&sslrootcert={authority}"
    config = database_urls.parse(url, "DATABASE_URL")
    assert config["OPTIONS"]["sslrootcert"] == str(authority)
