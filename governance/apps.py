"""App configuration."""

from django.apps import AppConfig
from django.db.backends.postgresql.operations import DatabaseOperations


class GovernanceConfig(AppConfig):
    """The app ``governance``."""

    name = "governance"

    def ready(self) -> None:
        """Let Django look for ids beyond 32 bits."""
        # Migrations make every id a bigint, but the models of other packages say AutoField: Django
        # would find no row beyond 2^31, without asking the database.
        ranges = DatabaseOperations.integer_field_ranges
        DatabaseOperations.integer_field_ranges = {**ranges, "AutoField": ranges["BigAutoField"]}
