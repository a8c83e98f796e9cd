"""Operation runs: background work with a record, done in slices.

``ledger`` keeps the runs, ``slices`` does the next slice of one, ``bulk`` is one action on many
objects, ``bulk_command`` is the commands' side of it, ``cancel`` ends a run.
"""
