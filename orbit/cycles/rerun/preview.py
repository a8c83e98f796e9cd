"""What a re-run would do, as a document: the same for the API, the command and the console."""

from typing import Any

from orbit.cycles.rerun.plan import PlannedDelivery
from orbit.cycles.rerun.single import Preview
from orbit.dispatch.endpoint_drift import Configuration


def document(plan: Preview) -> dict[str, Any]:
    """Return each tier, each delivery, and on which revisions; ``stopped`` says what refuses it just now, None where nothing does."""
    takeover, context, today = plan.takeover, plan.context, Configuration()
    taken = [
        {
            "tier": tier,
            "action": "take_over",
            "transformation_id": one.transformation_id,
            "cycle_run_id": one.cycle_id,
            "output_sha256": one.sha256,
        }
        for tier, one in takeover.done.items()
    ]
    tiers: list[dict[str, Any]] = taken + [
        {"tier": tier, "action": "run"} for tier in takeover.runs
    ]
    return {
        "rerun_of": plan.cycle_id,
        "namespace": context.namespace,
        "profile_id": context.profile_id,
        "profile_revision": context.profile_revision,
        "run_profile_id": context.run_profile_id,
        "run_profile_revision": context.run_profile_revision,
        "tiers": sorted(tiers, key=lambda tier: tier["tier"]),
        "deliveries": [_delivery(one, today) for one in takeover.deliveries],
        "dead_letters": [
            one.last.letter.id
            for one in takeover.sends
            if one.last is not None and one.last.letter is not None
        ],
        "stopped": None
        if plan.stopped is None
        else {"code": plan.stopped.code, "detail": plan.stopped.detail},
    }


def _delivery(one: PlannedDelivery, today: Configuration) -> dict[str, Any]:
    last = one.last
    return {
        "tier": one.tier,
        "normalization_item_id": one.item_id,
        "endpoint_key": one.endpoint_key,
        "action": str(one.action),
        "delivery_id": last.delivery_id if last else None,
        "dispatch_job_id": last.job_id if last else None,
        "dead_letter_id": last.letter.id if last and last.letter else None,
        "endpoint_now": str(today.compare(one.endpoint_key, last.fingerprint)) if last else None,
    }


def sentence(plan: Preview) -> str:
    """Return it in one line."""
    takeover = plan.takeover
    tiers = f"{_tiers(sorted(takeover.done))} taken over" if takeover.done else "no tier taken over"
    runs = (
        f"{_tiers(takeover.runs)} run on today's configuration" if takeover.runs else "no tier runs"
    )
    left = len(takeover.deliveries) - len(takeover.sends)
    more = " and what the tiers that run make" if takeover.runs or takeover.normalize else ""
    return f"{tiers}; {runs}; {len(takeover.sends)} of {len(takeover.sends) + left} deliveries would be made{more}"


def _tiers(numbers: list[int]) -> str:
    return (
        f"tier {numbers[0]}"
        if len(numbers) == 1
        else f"tiers {', '.join(str(number) for number in numbers)}"
    )
