"""Schedules, the ledger of their ticks, and why something ran or didn't."""
