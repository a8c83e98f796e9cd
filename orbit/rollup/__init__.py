"""Sums by hour and day, counted as rows end. No statement reads the history."""
