"""What stands above every page while it is true: nobody works, everything is paused, a namespace is halted, nothing can be delivered."""

from dataclasses import dataclass

from governance.access.actors import Actor
from governance.models import GovernanceSetting
from governance.namespaces import gate
from orbit.cycles import clusters
from orbit.dispatch import endpoints

_NAMED = 5


@dataclass(frozen=True, slots=True)
class Banner:
    """One sentence; ``look`` is its class."""

    look: str
    text: str


def standing(actor: Actor) -> list[Banner]:
    """Return the banners for ``actor``, the most severe first. Two queries."""
    found: list[Banner] = []
    if gate.paused_here():
        found.append(Banner("bad", "Everything is paused by ORBIT_GLOBAL_PAUSE in this process's environment: nothing starts and nothing goes on."))
    halted = GovernanceSetting.objects.filter(actor.filter("namespace__name"), halt=True).select_related("namespace").order_by("-since")[: _NAMED + 1]
    found += [Banner("part", _halt(row)) for row in halted[:_NAMED]]
    if len(halted) > _NAMED:
        found.append(Banner("part", "More namespaces are halted: see Governance settings."))
    if not clusters.any_alive():
        found.append(Banner("bad", "No cluster is running: cycles are accepted, but nothing works on them. Start `manage.py cluster`."))
    if not endpoints.configured():
        found.append(Banner("part", "No endpoint is configured: nothing can be delivered. Set ORBIT_DISPATCH_ENDPOINTS."))
    return found


def _halt(setting: GovernanceSetting) -> str:
    by, why = setting.changed_by or "nobody named", setting.reason or "none given"
    return f"{setting.namespace.name} is halted since {setting.since:%Y-%m-%d %H:%M} UTC by {by}: {why}."
