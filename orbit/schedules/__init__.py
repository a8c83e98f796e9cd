"""Schedules: what is due when, the ledger of its ticks, and why something did or didn't run."""
