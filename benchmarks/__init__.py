"""How fast and how large Orbit is, compared with a hand-written baseline: ``make bench``."""
