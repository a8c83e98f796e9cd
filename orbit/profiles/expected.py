"""What an editor saw before an edit: concurrent edits must not overwrite each other."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Expected:
    """The revisions that an edit may replace."""

    revisions: frozenset[int] | None = None  # None: any
    absent: bool = False  # no document at all
    advice: str = ""  # what to do if they aren't met; empty: read it again

    def met_by(self, current: int | None) -> bool:
        """Tell whether ``current`` (None: no document) is as expected."""
        if self.absent or current is None:
            return self.absent and current is None
        return self.revisions is None or current in self.revisions


#: There is no document yet.
NEW = Expected(absent=True)
#: Replace whatever revision there is.
ANY = Expected()


def exactly(revision: int) -> Expected:
    """Expect ``revision`` to be the current one."""
    return Expected(frozenset({revision}))
