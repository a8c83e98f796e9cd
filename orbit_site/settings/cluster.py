"""Django-Q2: it carries wake-ups; every promise holds even when it loses, doubles or delays one."""

from orbit_site.settings import environment as env

Q_CLUSTER = {
    # Queue key and signing salt: the same everywhere, never changed while tasks are queued.
    "name": "orbit",
    "label": "Queue",
    "orm": "default",
    "broker_class": "orbit.queue.PgBroker",
    "workers": env.WORKERS,
    # A second net only: the lease is the first, so a task is never cut short nor retried by the queue.
    "timeout": 120,
    "retry": 150,
    "max_attempts": 1,
    "ack_failures": True,
    "save_limit": -1,
    "bulk": 1,
    "poll": 0.5,
    "queue_limit": 1,
    "guard_cycle": 0.5,
    "recycle": 1000,
    "catch_up": False,
    "scheduler": False,
    "daemonize_workers": True,
    "compress": False,
    "sync": False,
    "log_level": "WARNING",
}
