"""How long to wait before a process that ended is started again."""

from dataclasses import dataclass


@dataclass(slots=True)
class RestartBackoff:
    """A process that lived for ``steady`` seconds is replaced at once.

    The first ``free`` early deaths in a row cost nothing either. Each further one doubles the wait,
    from ``first`` to ``longest`` seconds.

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
    early_deaths: int = 0

    def wait(self, lived: float) -> float:
        """Count a death after ``lived`` seconds; return the seconds until the next start."""
        self.early_deaths = 0 if lived >= self.steady else self.early_deaths + 1
        if self.early_deaths <= self.free:
            return 0.0
        return float(min(self.first * 2.0 ** (self.early_deaths - self.free - 1), self.longest))
