"""Show a preview of a re-run, as a document or a sentence."""

from typing import Any
from uuid import UUID

from governance.access.actors import Actor
from governance.kernel.errors import OrbitError
from orbit.cycles.rerun import single
from orbit.cycles.rerun.plan import PlannedDelivery
from orbit.cycles.rerun.single import Preview
from orbit.dispatch.endpoint_drift import ConfiguredEndpoints


def document(preview: Preview) -> dict[str, Any]:
    """Return the preview as JSON; ``stopped`` is what refuses it now."""
    plan, context, configuration = preview.plan, preview.context, ConfiguredEndpoints()
    tiers: list[dict[str, Any]] = [
        {
            "tier": number,
            "action": "take_over",
            "transformation_id": tier.transformation_id,
            "cycle_run_id": tier.cycle_id,
            "output_sha256": tier.sha256,
        }
        for number, tier in plan.reused_tiers.items()
    ]
    tiers += [{"tier": number, "action": "run"} for number in plan.tiers_to_run]
    stopped = preview.stopped
    return {
        "rerun_of": preview.cycle_id,
        "namespace": context.namespace,
        "profile_id": context.profile_id,
        "profile_revision": context.profile_revision,
        "run_profile_id": context.run_profile_id,
        "run_profile_revision": context.run_profile_revision,
        "tiers": sorted(tiers, key=lambda tier: tier["tier"]),
        "deliveries": [_delivery(delivery, configuration) for delivery in plan.deliveries],
        "dead_letters": [letter.id for letter in plan.letters],
        "stopped": None if stopped is None else {"code": stopped.code, "detail": stopped.detail},
    }


def of_page(cycle_id: UUID, *, actor: Actor) -> dict[str, Any]:
    """Return what running the cycle again would do, as document and sentence, or the refusal."""
    try:
        preview = single.preview(cycle_id, actor=actor)
    except OrbitError as refusal:
        return {"refused": refusal.detail}
    return {"plan": document(preview), "sentence": sentence(preview)}


def sentence(preview: Preview) -> str:
    """Return the preview in one line."""
    plan = preview.plan
    reused = sorted(plan.reused_tiers)
    tiers = f"{_tiers(reused)} taken over" if reused else "no tier taken over"
    runs = (
        f"{_tiers(plan.tiers_to_run)} run on today's configuration"
        if plan.tiers_to_run
        else "no tier runs"
    )
    more = (
        " and what the tiers that run make" if plan.tiers_to_run or plan.tiers_to_normalize else ""
    )
    counts = f"{len(plan.to_send)} of {len(plan.deliveries)} deliveries would be made"
    return f"{tiers}; {runs}; {counts}{more}"


def _delivery(delivery: PlannedDelivery, configuration: ConfiguredEndpoints) -> dict[str, Any]:
    key, previous, letter = delivery.endpoint_key, delivery.previous, delivery.letter
    return {
        "tier": delivery.tier,
        "normalization_item_id": delivery.item_id,
        "endpoint_key": key,
        "action": str(delivery.action),
        "delivery_id": previous.delivery_id if previous else None,
        "dispatch_job_id": previous.job_id if previous else None,
        "dead_letter_id": letter.id if letter else None,
        "endpoint_now": str(configuration.compare(key, previous.fingerprint)) if previous else None,
    }


def _tiers(numbers: list[int]) -> str:
    if len(numbers) == 1:
        return f"tier {numbers[0]}"
    return f"tiers {', '.join(str(number) for number in numbers)}"
