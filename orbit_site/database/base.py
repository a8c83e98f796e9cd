"""The backend that ``ENGINE`` names. Django looks for this module."""

from django.db import Error
from django.db.backends.postgresql import base

from governance.kernel import availability


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection to PostgreSQL that is kept only while its server accepts writes."""

    def is_usable(self) -> bool:
        """Tell whether the server answers and is still the primary; once for each request."""
        # After a failover the old server may go on answering, with old data.
        if self.connection is None:
            return False
        try:
            with self.connection.cursor() as cursor:
                cursor.execute(availability.IS_READ_ONLY)
                return bool(cursor.fetchone() == (False,))
        except (Error, self.Database.Error):
            return False
