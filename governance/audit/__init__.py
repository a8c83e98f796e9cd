"""The audit trail: one door to write, a chain to prove."""
