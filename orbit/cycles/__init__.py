"""Cycles: how they start, go on and end."""
