"""What `check --deploy` says."""

from typing import Any

from orbit_site import checks


def test_one_role_for_both_is_a_warning_that_says_how_to_mend(settings: Any) -> None:
    owner = settings.ORBIT_OWNER_DATABASE["USER"]
    settings.DATABASES["default"]["USER"], before = owner, settings.DATABASES["default"]["USER"]
    try:
        (found,) = checks.one_role(None)
        assert (found.id, "ORBIT_OWNER_DATABASE_URL" in str(found.hint)) == ("orbit.W001", True)
        settings.DATABASES["default"]["USER"] = "somebody_else"
        assert checks.one_role(None) == []
    finally:
        settings.DATABASES["default"]["USER"] = before
