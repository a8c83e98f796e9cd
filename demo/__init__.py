"""The Aurora receiver, to try Orbit out."""
