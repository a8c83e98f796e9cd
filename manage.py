#!/usr/bin/env python3
"""Runs Orbit's commands: ``python manage.py COMMAND``."""

import sys


def main() -> None:
    """Run the command line."""
    from orbit_site.processes import entry

    sys.exit(entry.run(sys.argv))


if __name__ == "__main__":
    main()
