"""Makes Orbit run the same whatever the shell has set for Python and Django, or refuses.

Text is UTF-8 whatever the locale says: a reason with an umlaut must not depend on it.
"""

import codecs
import io
import locale
import os
import sys

from django.core.exceptions import ImproperlyConfigured

SETTINGS = "orbit_site.settings"
_VARIABLE, _UTF8 = "DJANGO_SETTINGS_MODULE", "PYTHONUTF8"


def prepare(argv: list[str]) -> None:
    """Check the interpreter. May start it again. Raises ImproperlyConfigured."""
    refuse_other_settings(argv)
    if sys.flags.optimize:
        raise ImproperlyConfigured(
            "Python runs without its checks and texts (PYTHONOPTIMIZE, -O or -OO), which Orbit "
            "needs. Unset PYTHONOPTIMIZE."
        )
    _use_utf8()


def refuse_other_settings(argv: list[str]) -> None:
    """Raise ImproperlyConfigured if another project's settings are asked for."""
    module = os.environ.setdefault(_VARIABLE, SETTINGS)
    if module != SETTINGS:
        raise ImproperlyConfigured(
            f"{_VARIABLE}={module!r} names settings that aren't Orbit's. Unset {_VARIABLE}."
        )
    if any(word.partition("=")[0] == "--settings" for word in own_words(argv)):
        raise ImproperlyConfigured("--settings isn't possible: Orbit has its own. Leave it out.")


def own_words(argv: list[str]) -> list[str]:
    """Return ``argv`` up to ``--``: what follows is the command line of another program."""
    return argv[: argv.index("--")] if "--" in argv else argv


def _use_utf8() -> None:
    is_utf8 = codecs.lookup(locale.getencoding()).name == sys.getfilesystemencoding() == "utf-8"
    if not is_utf8 and not sys.flags.utf8_mode and os.environ.get(_UTF8) != "1":
        # Arguments and file names are decoded before our first line runs.
        os.environ[_UTF8] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606
    os.environ.pop("PYTHONIOENCODING", None)
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and codecs.lookup(stream.encoding).name != "utf-8":
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
