"""The entry point of ``manage.py``: runs a command, turns refusals into one line.

A reader that closes our output, such as `head`, ends a command quietly.

`up` and `health` run without Django: `up` would hold 40 MB for weeks, `health` runs every few
seconds.
"""

import sys

if not (3, 11) <= sys.version_info[:2] < (3, 15):
    sys.exit(
        f"orbit: Python 3.11 to 3.14 is needed; this is {sys.version.split()[0]}. "
        "Use the one in .venv (`make setup` creates it)."
    )

import gc
import signal

from django.core.exceptions import ImproperlyConfigured

from governance.kernel import terminal
from governance.kernel.errors import OrbitError
from orbit_site.processes import interpreter, standard_files

REFUSED = 2
UNWRITTEN = 1
#: These log unknown names of variables; a health check doesn't repeat them every few seconds.
_QUIET = {"web", "cluster", "qcluster", "health"}


def run(argv: list[str]) -> int:
    """Run the command line; return its exit code, 2 for a refusal."""
    output = standard_files.prepare()
    # What imports create stays: to look for garbage in it takes a tenth of a start.
    gc.disable()
    try:
        try:
            code = _refusing(argv)
        except SystemExit:
            output.flush()
            raise
        output.flush()
        return code
    except OSError:
        if output.problem is None:
            raise
    finally:
        gc.enable()
    output.discard()
    if isinstance(output.problem, BrokenPipeError):
        return 128 + signal.SIGPIPE
    print(f"orbit: Can't write the output: {output.problem.strerror}.", file=sys.stderr)
    return UNWRITTEN


def _refusing(argv: list[str]) -> int:
    try:
        interpreter.prepare(argv)
        return _run(argv)
    except ImproperlyConfigured as error:
        return _refuse(str(error))
    except OrbitError as error:
        # The details of some refusals are in their message already.
        more = [
            f"{item['pointer']}: {item['detail']}"
            for item in error.errors
            if item["detail"] not in error.detail
        ]
        return _refuse("\n  ".join([error.detail, *more]))
    except UnicodeEncodeError as error:
        if not any("\udc80" <= letter <= "\udcff" for letter in error.object):
            raise
        return _refuse(
            "An argument holds a byte that isn't UTF-8. Set the terminal to UTF-8, "
            "and type it again."
        )
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def asks_for_help(argv: list[str]) -> bool:
    """Tell whether only help or the version is asked for."""
    return bool({"-h", "--help", "--version"} & set(interpreter.own_words(argv)[1:]))


def _run(argv: list[str]) -> int:
    # Import here: `up` and `health` must not load Django's models or settings.
    from orbit_site.settings import names

    command = "" if asks_for_help(argv) else (argv[1:2] or [""])[0]
    if command not in _QUIET:
        for sentence in names.report_once():
            print(f"orbit: warning: {sentence}", file=sys.stderr)
    if command == "up":
        from orbit_site.processes import up

        gc.enable()
        return up.main(argv[2:])
    if command == "health":
        from orbit_site.processes import health

        return health.main(argv[2:])
    from orbit_site.processes import django_command

    return django_command.run(argv)


def _refuse(message: str) -> int:
    print(f"orbit: {terminal.escape_lines(message)}", file=sys.stderr)
    return REFUSED
