"""The names that outside tools use; ``python -m tests.golden.names`` writes them."""

import os
import re
import sys
from pathlib import Path

from django.apps import apps
from django.core.management import get_commands

PROJECT = Path(__file__).resolve().parents[2]
FILE = Path(__file__).resolve().parent / "names.txt"
APPS = ("governance", "telemetry", "orbit", "advisory", "orbit_site")
_METRIC = re.compile(r"\"(orbit_[a-z_]+)\"")


def names() -> str:
    from governance.audit.actions import Action  # needs the settings, as all models do
    from orbit_site.settings.variables import TABLE

    commands = {name for name, app in get_commands().items() if app in APPS}
    metrics = set(_METRIC.findall((PROJECT / "orbit_site/metrics.py").read_text()))
    columns = {
        f"{model._meta.db_table}.{field.column}"
        for app in APPS
        for model in apps.get_app_config(app).get_models(include_auto_created=True)
        for field in model._meta.local_concrete_fields
    }
    parts = {
        "command": commands,
        "variable": {variable.name for variable in TABLE},
        "metric": metrics,
        "action": {action.value for action in Action},
        "column": columns,
    }
    return "".join(f"{kind} {name}\n" for kind, group in parts.items() for name in sorted(group))


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "orbit_site.settings"
    os.environ.setdefault("ORBIT_ENV", "test")
    import django

    django.setup()
    FILE.write_text(names())
    sys.stdout.write(f"{len(FILE.read_text().splitlines())} names\n")
