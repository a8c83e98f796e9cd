"""How fast and how large Orbit is, beside a hand-written baseline: ``make bench``."""
