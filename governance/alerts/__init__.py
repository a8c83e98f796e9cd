"""Alerts: what is wrong now, sent once when it begins and once when it ends."""
