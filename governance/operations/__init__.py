"""Operation runs: background work with a record, done in slices."""
