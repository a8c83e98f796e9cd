"""The Aurora receiver, for trying Orbit out. Not part of the product."""
