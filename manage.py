#!/usr/bin/env python3
"""Runs Orbit's commands: ``python manage.py COMMAND``."""

import os
import sys


def main() -> None:
    """Hand the command line to Django, with an embedded database running where the command needs one."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orbit_site.settings")
    from orbit_site.processes import entry

    sys.exit(entry.run(sys.argv))


if __name__ == "__main__":
    main()
