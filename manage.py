#!/usr/bin/env python3
"""Runs Orbit's commands: ``python manage.py COMMAND``."""

import os
import sys


def main() -> None:
    """Run the command line."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orbit_site.settings")
    from orbit_site.processes import entry

    sys.exit(entry.run(sys.argv))


if __name__ == "__main__":
    main()
