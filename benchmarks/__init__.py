"""Speed and size of Orbit beside a hand-written baseline: ``make bench``."""
