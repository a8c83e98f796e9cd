"""What `check --deploy` says about an installation beside Django's own findings."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register


@register(deploy=True)
def one_role(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """Warn where the running processes own the tables: then they could switch off what makes the audit trail append-only."""
    if settings.DATABASES["default"]["USER"] != settings.ORBIT_OWNER_DATABASE["USER"]:
        return []
    return [
        Warning(
            "The running processes use the role that owns the tables.",
            hint="Name the owner in ORBIT_OWNER_DATABASE_URL, and in DATABASE_URL a role that owns nothing; `migrate` grants it what it needs.",
            id="orbit.W001",
        )
    ]
