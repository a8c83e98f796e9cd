"""What stands above every page while it is true: nobody works, everything is paused, a namespace is halted, an endpoint is down."""

from dataclasses import dataclass

from governance.access.actors import Actor
from governance.models import GovernanceSetting
from governance.namespaces import gate
from orbit.cycles import clusters
from orbit.dispatch import endpoints
from orbit.models import EndpointState
from orbit.profiles import drift

_NAMED = 5


@dataclass(frozen=True, slots=True)
class Banner:
    """One sentence; ``look`` is its class."""

    look: str
    text: str


def standing(actor: Actor) -> list[Banner]:
    """Return the banners for ``actor``, the most severe first. Four queries, and two more where configuration files and database go apart."""
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
    if actor.namespaces is None and drift.standing():
        found.append(Banner("part", "The configuration files and the database were both changed: the database stands. See Config drift."))
    down = list(EndpointState.objects.filter(opened_at__isnull=False).order_by("opened_at")[: _NAMED + 1]) if actor.namespaces is None else []
    found += [Banner("part", _down(row)) for row in down[:_NAMED]]
    if len(down) > _NAMED:
        found.append(Banner("part", "More endpoints are down: see Endpoint states."))
    return found


def _down(state: EndpointState) -> str:
    return f"{state.endpoint_key} is down since {state.opened_at:%Y-%m-%d %H:%M} UTC: its deliveries wait. The next probe: {state.probe_at:%H:%M:%S}."


def _halt(setting: GovernanceSetting) -> str:
    by, why = setting.changed_by or "nobody named", setting.reason or "none given"
    return f"{setting.namespace.name} is halted since {setting.since:%Y-%m-%d %H:%M} UTC by {by}: {why}."
