"""Which request is being answered: its id, for log lines and for the audit trail. ``rest.request_id`` sets it."""

import contextvars

request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")
