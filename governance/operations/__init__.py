"""Operation runs: one ledger for background work, from its start over its slices to its outcome."""
