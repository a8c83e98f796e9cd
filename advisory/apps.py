"""App configuration."""

from django.apps import AppConfig


class AdvisoryConfig(AppConfig):
    """The app ``advisory``."""

    name = "advisory"

    def ready(self) -> None:
        """Have signals computed every night."""
        # Models can be imported only now.
        from advisory import tasks
        from orbit import tasks as queue_tasks

        queue_tasks.register_nightly(tasks.TYPE, tasks.run_slice)
