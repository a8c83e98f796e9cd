"""What an editor saw before an edit, so that two who edit at once don't overwrite each other."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Expected:
    """The revisions that an edit may replace.

    ``revisions`` of None is any revision; ``absent`` is no document at all.
    """

    revisions: frozenset[int] | None = None
    absent: bool = False

    def met_by(self, current: int | None) -> bool:
        """Return whether ``current``, a revision or None for no document, is what was expected."""
        if self.absent or current is None:
            return self.absent and current is None
        return self.revisions is None or current in self.revisions


#: There is no document yet.
NEW = Expected(absent=True)
#: Replace whatever revision there is.
ANY = Expected()


def exactly(revision: int) -> Expected:
    """Return the expectation that ``revision`` is the current one."""
    return Expected(frozenset({revision}))
