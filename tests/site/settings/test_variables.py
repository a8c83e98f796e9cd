"""What is around a value is refused, and an empty value is the default."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from orbit_site.settings import variables


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variables, "TABLE", [])


@pytest.mark.parametrize(
    "value",
    [
        "$(python3 -c 'import secrets; print(secrets.token_urlsafe(64))')",
        "`openssl rand -hex 32`",
        "$HUSH",
        "$HUSH/config",
        "${HUSH}",
        "${HUSH:-hush}",
        "postgresql://u:${HUSH}@h/d",
    ],
)
def test_what_a_shell_would_replace_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORBIT_SECRET_KEY", value)
    with pytest.raises(ImproperlyConfigured, match="holds what only a shell") as refusal:
        variables.text("ORBIT_SECRET_KEY", "", "")
    with pytest.raises(ImproperlyConfigured):
        variables.items("ORBIT_SECRET_KEY", "", "")
    assert "hush" not in str(refusal.value).lower()


@pytest.mark.parametrize("value", ["pa$$word", "a$B", "$2b$12$x", "a`b", "$(", "{}", "$", "${1}"])
def test_a_dollar_may_be_part_of_a_value(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORBIT_SECRET_KEY", value)
    assert variables.text("ORBIT_SECRET_KEY", "", "") == value


@pytest.mark.parametrize("value", ["'hush'", '"hush"', "\u201chush\u201d", "\u201ehush\u201c"])
def test_quotes_are_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORBIT_METRICS_TOKEN", f" {value} ")
    with pytest.raises(ImproperlyConfigured) as refusal:
        variables.text("ORBIT_METRICS_TOKEN", "", "")
    assert str(refusal.value) == "ORBIT_METRICS_TOKEN has quotes around its value. Remove them."


@pytest.mark.parametrize("value", ["hush\u200b", "\ufeffhush", "hush\u2060 "])
def test_a_character_that_cant_be_seen_is_refused(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORBIT_METRICS_TOKEN", value)
    with pytest.raises(ImproperlyConfigured, match="a character that can't be seen"):
        variables.text("ORBIT_METRICS_TOKEN", "", "")


@pytest.mark.parametrize("value", ["", "  ", "\t"])
def test_an_empty_text_is_the_default(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORBIT_CONFIG_DIR", value)
    assert variables.text("ORBIT_CONFIG_DIR", "config", "") == "config"
    assert variables.text("ORBIT_CONFIG_DIR", "config", "", may_be_empty=True) == ""


def test_a_password_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORBIT_PASSWORD", " '${x}' ")
    assert variables.password("ORBIT_PASSWORD", "") == " '${x}' "
