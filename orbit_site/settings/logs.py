"""Log handlers and formats."""

import errno
import os
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from pythonjsonlogger.core import RESERVED_ATTRS

from governance.kernel import files
from orbit_site.settings import environment as env

_handlers: dict[str, dict[str, Any]] = {
    "stderr": {
        "class": "logging.StreamHandler",
        "formatter": env.ORBIT_LOG_FORMAT,
        "filters": ["context", "hide_values"],
    },
}
if env.LOG_DIR:
    _file = Path(env.LOG_DIR) / "orbit.log"
    try:
        _file.parent.mkdir(files.PRIVATE_FOLDER, parents=True, exist_ok=True)
        # Else each line would fail, with a traceback. Not created here: a command that another
        # user runs must not own it.
        if not os.access(_file if _file.exists() else _file.parent, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if _file.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    except OSError as error:
        raise ImproperlyConfigured(
            f"Can't use ORBIT_LOG_DIR={env.LOG_DIR!r}: {error.strerror}. "
            "Name a folder that this user may create or write to."
        ) from None
    _handlers["file"] = {
        "class": "orbit_site.log_records.PrivateFileHandler",
        "filename": str(_file),
        "formatter": env.ORBIT_LOG_FORMAT,
        "filters": ["context", "hide_values"],
        "delay": True,
    }

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "context": {"()": "orbit_site.log_records.ContextFilter"},
        "hide_values": {"()": "orbit_site.log_records.HideValues"},
    },
    "formatters": {
        "text": {
            "()": "orbit_site.log_records.LineFormatter",
            "format": "%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s%(ids)s",
        },
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "format": "%(levelname)s %(process)d %(name)s %(message)s %(request_id)s "
            "%(cycle_id)s %(delivery_id)s",
            "rename_fields": {"levelname": "level", "name": "logger", "exc_info": "exception"},
            # ISO 8601 in UTC. The text format's time is in ORBIT_TIME_ZONE, without an offset.
            "timestamp": "time",
            # Django's request object isn't JSON; ids is for the text format.
            "reserved_attrs": [*RESERVED_ATTRS, "request", "ids"],
        },
    },
    "handlers": _handlers,
    "root": {"handlers": list(_handlers), "level": "INFO"},
    "loggers": {
        "django-q": {"level": "WARNING", "propagate": True, "handlers": []},
        "django.request": {"level": "ERROR"},
        # A client's error: anyone could fill the log with it.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        "_granian": {"level": "ERROR"},
    },
}
