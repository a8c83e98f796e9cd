"""``manage.py`` with every logger at DEBUG: ``python -m tests.support.verbose COMMAND``."""

import sys

from orbit_site.processes import entry, interpreter


def run(argv: list[str]) -> int:
    interpreter.prepare(argv)
    from orbit_site.settings.logs import LOGGING

    for logger in (LOGGING["root"], *LOGGING["loggers"].values()):
        logger["level"] = "DEBUG"
    return entry.run(argv)


if __name__ == "__main__":
    sys.exit(run(sys.argv))
