"""Django-Q2 carries wake-ups. A lost, doubled or late one breaks nothing."""

from orbit_site.settings import environment as env

Q_CLUSTER = {
    # Queue key and signing salt: the same on every machine; don't change while tasks are queued.
    "name": "orbit",
    "label": "Queue",
    "orm": "default",
    "broker_class": "orbit.queue.PgBroker",
    "workers": env.ORBIT_WORKERS,
    # The lease guards a task; the queue must neither cut it short nor retry it.
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
