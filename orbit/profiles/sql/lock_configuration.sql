-- Lock the configuration; the row's SHA-256 is that of the files that were applied last.
SELECT sha256 FROM orbit_appliedfiles WHERE id = 1 FOR UPDATE
