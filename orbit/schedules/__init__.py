"""Schedules, their ticks, and why something ran or didn't."""
