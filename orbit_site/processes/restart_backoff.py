"""The wait before an ended process is restarted."""

from dataclasses import dataclass


@dataclass(slots=True)
class RestartBackoff:
    """Doubles the wait after each early death, from ``first`` to ``longest`` seconds.

    A life of ``steady`` seconds resets it. The first ``free`` deaths in a row, and one after a
    steady life, wait ``least`` seconds.

    >>> backoff = RestartBackoff(first=0.5, longest=10, steady=5, free=2)
    >>> [backoff.wait(lived=1) for _ in range(5)]
    [0.0, 0.0, 0.5, 1.0, 2.0]
    >>> backoff.wait(lived=5)
    0.0
    """

    first: float
    longest: float
    steady: float
    free: int = 0
    least: float = 0.0
    early_deaths: int = 0

    def wait(self, lived: float) -> float:
        """Count a death after ``lived`` seconds; return the wait in seconds."""
        self.early_deaths = 0 if lived >= self.steady else self.early_deaths + 1
        if self.early_deaths <= self.free:
            return self.least
        doublings = min(self.early_deaths - self.free - 1, 30)  # a float overflows at 1,024
        return float(min(self.first * 2.0**doublings, self.longest))
