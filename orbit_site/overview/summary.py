"""The overview: one sentence, the things that need a user, and the numbers."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from advisory.proposals import waiting as proposals
from advisory.proposals.waiting import Waiting
from governance import display
from governance.access.actors import Actor
from governance.namespaces import stops
from orbit_site.overview import facts as facts_
from orbit_site.overview import problems as problems_
from orbit_site.overview import things as things_
from orbit_site.overview.facts import Facts, listed
from orbit_site.overview.problems import Problem
from orbit_site.overview.things import Thing


@dataclass(frozen=True, slots=True)
class Summary:
    """What an actor's overview says."""

    things: list[Thing]
    facts: Facts
    problems: list[Problem]
    waiting: Waiting

    @property
    def count(self) -> int:
        """How many things need the actor."""
        return sum(thing.things for thing in self.things)

    @property
    def sentence(self) -> str:
        """ "All well" or, for example, "3 things need you"."""
        if not self.things:
            return "All well"
        return "1 thing needs you" if self.count == 1 else f"{self.count:,} things need you"

    @property
    def now(self) -> datetime:
        """When the facts were read."""
        return datetime.fromisoformat(self.facts["now"])

    @property
    def lead(self) -> str:
        """What is well."""
        profiles, clusters = self.facts["run_profiles"], self.facts["clusters"]
        parts = []
        if profiles["count"]:
            parts.append(
                f"{profiles['delivered']:,} of {profiles['count']:,} run profiles delivered in "
                "the last 24 hours"
            )
        if clusters["seen_at"]:
            beat = display.ago(datetime.fromisoformat(clusters["seen_at"]), self.now)
            parts.append(f"the scheduler beat {beat}")
        if not parts:
            return ""
        text = "; ".join(parts)
        return f"Everything else is well: {text}." if self.things else f"{_upper(text)}."

    @property
    def numbers(self) -> dict[str, int | float]:
        """The numbers; those of rows stop at ``facts.COUNTED``."""
        facts, hours = self.facts, list(listed(self.facts, "hours"))
        return {
            "active_cycles": facts["active"],
            "queued_cycles": facts["queued"],
            "dead_letters": facts["dead"],
            "dead_letter_groups": len(list(listed(facts, "groups"))),
            "approvals_waiting": self.waiting.count,
            "operations_running": facts["operations"],
            "delivered_24_hours": sum(hour["delivered"] for hour in hours),
            "dead_24_hours": sum(hour["dead"] for hour in hours),
            "run_profiles": facts["run_profiles"]["count"],
            "run_profiles_delivered": facts["run_profiles"]["delivered"],
            "clusters": facts["clusters"]["count"],
            "workers": facts["clusters"]["workers"],
            "queue_depth": facts["queue"]["count"],
            "queue_age_seconds": round(facts["queue"]["age"] or 0.0, 1),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return what REST and the command show."""
        return {
            "sentence": self.sentence,
            "all_well": not self.things,
            "lead": self.lead,
            "things": [
                {
                    "kind": thing.kind,
                    "state": thing.state,
                    "text": thing.sentence,
                    "count": thing.count,
                    "since": stops.to_iso(thing.since),
                    "link": thing.link,
                }
                for thing in self.things
            ],
            "numbers": self.numbers,
            "as_of": stops.to_iso(self.now),
        }


def of(
    actor: Actor,
    *,
    namespace: str = "",
    waiting: Waiting | None = None,
    read: facts_.Read | None = None,
    seconds: float = facts_.SECONDS,
) -> Summary:
    """Return the overview of ``actor``, at most ``seconds`` old; ``namespace`` narrows it.

    ``waiting`` are the proposals that wait for the actor, and ``read`` are the facts, if the caller
    has read them.
    """
    if waiting is None:
        waiting = proposals.for_actor(actor)
    facts, stored = read or facts_.read(actor, namespace, seconds=seconds)
    problems = problems_.parse(stored)
    things = things_.of(facts, problems, waiting, actor=actor)
    return Summary(things, facts, problems, waiting)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
