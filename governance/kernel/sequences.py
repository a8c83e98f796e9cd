"""Sequences that run out of numbers: each write that needs one would fail."""

from governance.kernel import sql

#: From this share of its numbers on, a sequence is reported.
NEARLY = 0.9

USED_SEQUENCES = sql.load(__name__, "used_sequences")


def nearly_used() -> list[str]:
    """Return the names of sequences that have used ``NEARLY`` all of their numbers."""
    return [name for (name,) in USED_SEQUENCES.rows(share=NEARLY)]
