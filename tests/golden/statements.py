"""Every SQL statement, assembled; ``python -m tests.golden.statements`` writes them."""

import importlib
import os
import pkgutil
import re
import sys
from pathlib import Path

from governance.kernel import sql

FOLDER = Path(__file__).resolve().parent / "sql"
APPS = ("governance", "telemetry", "orbit", "advisory", "orbit_site")
_STATEMENT = re.compile(
    r"\s*(--[^\n]*\n\s*)*(WITH|SELECT|INSERT|UPDATE|DELETE|LOCK|SET|NOTIFY|LISTEN)\s[^=]",
    re.IGNORECASE,
)
_BREAK = re.compile(
    r" (?=(?:SELECT|FROM|WHERE|JOIN|LEFT JOIN|UPDATE|SET|INSERT INTO|DELETE FROM|ON CONFLICT"
    r"|RETURNING|ORDER BY|GROUP BY|LIMIT|UNION|VALUES|AND|OR|FOR NO KEY|FOR UPDATE)\b)"
)


def layout(sql: str) -> str:
    """Return ``sql`` without comments, one line per clause."""
    sql = re.sub(r"--[^\n]*", " ", sql)
    sql = re.sub(r"\s+", " ", sql).strip().rstrip(";")
    sql = re.sub(r"\( ", "(", re.sub(r" \)", ")", sql))
    sql = re.sub(r" ?, ?", ", ", sql)
    return _BREAK.sub("\n", sql) + "\n"


def statements() -> dict[str, str]:
    """Return the statements of all modules by name."""
    texts = {}
    for app in APPS:
        package = importlib.import_module(app)
        for info in pkgutil.walk_packages(package.__path__, f"{app}."):
            if (
                ".migrations" in info.name
                or ".management.commands." in info.name
                or info.name.endswith("wsgi")
            ):
                continue
            module = importlib.import_module(info.name)
            for name, value in vars(module).items():
                if isinstance(value, str) and len(value) > 40 and _STATEMENT.match(value):
                    texts[f"{info.name}.{name}"] = layout(value)
    loaded = {name: layout(statement.text) for name, statement in sql.REGISTRY.items()}
    return texts | loaded


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.sql"):
        path.unlink()
    for name, text in statements().items():
        (FOLDER / f"{name}.sql").write_text(text)


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "orbit_site.settings"
    os.environ.setdefault("ORBIT_ENV", "test")
    import django

    django.setup()
    main()
    sys.stdout.write(f"{len(list(FOLDER.glob('*.sql')))} statements\n")
