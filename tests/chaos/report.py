"""The result of a scenario, and the table of all results."""

from dataclasses import dataclass, field

HEAD = (
    f"{'scenario':<22}{'kills':>7}{'cycles':>8}{'deliveries':>12}{'lost':>6}{'doubled':>9}"
    f"{'worst recovery':>16}{'seconds':>9}"
)


@dataclass
class Result:
    """The outcome of a scenario. ``recovery``: the longest recovery in seconds, if measured."""

    name: str
    kills: int = 0
    cycles: int = 0
    deliveries: int = 0
    lost: int = 0
    doubled: int = 0
    recovery: float | None = None
    seconds: float = 0.0
    violations: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    skipped: str = ""

    def line(self) -> str:
        """Return the scenario's line of the table."""
        if self.skipped:
            return f"{self.name:<22}skipped: {self.skipped}"
        worst = "-" if self.recovery is None else f"{self.recovery:.2f} s"
        verdict = "" if not self.violations else f"   {len(self.violations)} VIOLATIONS"
        return (
            f"{self.name:<22}{self.kills:>7}{self.cycles:>8}{self.deliveries:>12}"
            f"{self.lost:>6}{self.doubled:>9}{worst:>16}{self.seconds:>9.0f}{verdict}"
        )


def total(results: list[Result]) -> Result:
    """Return the sums of ``results``."""
    whole = Result("total", seconds=sum(result.seconds for result in results))
    for name in ("kills", "cycles", "deliveries", "lost", "doubled"):
        setattr(whole, name, sum(getattr(result, name) for result in results))
    whole.recovery = max(
        (result.recovery for result in results if result.recovery is not None), default=None
    )
    whole.violations = [violation for result in results for violation in result.violations]
    return whole
