"""Work that is done once per UTC day, as an operation run.

The maintenance process of every cluster asks for it, again and again. The run and its row of the
day are one transaction in the main database: a crash leaves both or none.
"""

from collections.abc import Callable
from uuid import UUID

from django.db import transaction

from governance.access.actors import SYSTEM
from governance.kernel import sql
from governance.operations import ledger

RECORD = sql.load(__name__, "record_nightly")
IS_RECORDED = sql.load(__name__, "nightly_is_recorded")


def start(job: str, *, wake: Callable[[UUID], object]) -> UUID | None:
    """Start today's run of the type ``job``; return its id, or None if it was started before.

    ``wake`` has its first slice done. A run of this type that is active counts as today's.
    """
    if IS_RECORDED.one(job=job) == (True,):
        return None
    with transaction.atomic():
        run, created = ledger.ensure_workspace_run_with_identity(
            job, {}, initiator=SYSTEM.name, reason="nightly"
        )
        if RECORD.one(job=job, run=run.pk) is None:
            # Another process started it, and its run has ended already: ours is one too many.
            transaction.set_rollback(True)
            return None
        if created:
            wake(run.pk)
        return run.pk
