"""The menu: pages by what one wants to do, then all tables."""

from typing import Any

from django.http import HttpRequest
from django.utils.html import format_html

from advisory.proposals import waiting as proposals
from advisory.proposals.waiting import Waiting
from governance.console import pages
from governance.console.base import actor_of

_DECIDE = "Decide"
_FIRST = {"StrategyProposal": "Approvals", "AdvisorySignal": "Signals"}
_MONITORING = "Monitoring"
#: Tables that have their place among its pages, and their names there.
_MONITORED = {"ConductorRun": "Conductor", "OperationRun": "Operations"}


def waiting(request: HttpRequest) -> Waiting:
    """Return what waits for the user's decision, read once for each request."""
    answer: Waiting | None = getattr(request, "console_waiting", None)
    if answer is None:
        answer = proposals.for_actor(actor_of(request))
        request.console_waiting = answer  # type: ignore[attr-defined]
    return answer


def arranged(request: HttpRequest, tables: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the groups of the menu: decisions first, then pages, then ``tables``."""
    groups, tables = _monitored(pages.menu(actor_of(request)), tables)
    own = [group for group in groups if group["name"] == _DECIDE]
    groups = [group for group in groups if group["name"] != _DECIDE]
    decide = next((group for group in tables if group["app_label"] == "advisory"), None)
    if decide is None:
        return own + groups + tables
    places = list(_FIRST)
    models = sorted(
        decide["models"],
        key=lambda model: (
            places.index(model["object_name"]) if model["object_name"] in _FIRST else len(places)
        ),
    )
    entries = [{**model, "name": _name(request, model)} for model in models]
    entries += [model for group in own for model in group["models"]]
    others = [group for group in tables if group is not decide]
    return [{**decide, "name": _DECIDE, "models": entries}, *groups, *others]


def _monitored(
    groups: list[dict[str, Any]], tables: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Move the tables of ``_MONITORED`` to the pages of their group."""
    moved = [
        {**model, "name": _MONITORED[model["object_name"]]}
        for group in tables
        for model in group["models"]
        if model["object_name"] in _MONITORED
    ]
    groups = [
        {**group, "models": sorted(group["models"] + moved, key=lambda model: str(model["name"]))}
        if group["name"] == _MONITORING
        else group
        for group in groups
    ]
    left = [
        {
            **group,
            "models": [
                model for model in group["models"] if model["object_name"] not in _MONITORED
            ],
        }
        for group in tables
    ]
    return groups, [group for group in left if group["models"]]


def _name(request: HttpRequest, model: dict[str, Any]) -> Any:
    name = _FIRST.get(model["object_name"], model["name"])
    if model["object_name"] != "StrategyProposal" or not waiting(request).count:
        return name
    return format_html(
        '{} <span class="count">{}<span class="visually-hidden"> waiting for you</span></span>',
        name,
        waiting(request).number,
    )
