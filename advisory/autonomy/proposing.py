"""Generate proposals: for every door. New signals that this needs are acted on as all others."""

from advisory.autonomy import computing
from advisory.proposals import generate
from advisory.proposals.generate import Generated
from governance.access.actors import Actor


def propose(profile_id: str, *, actor: Actor) -> Generated:
    """Make the engine's proposals from signals of the last minute that say so, else from new ones.

    Raises as ``generate.generate`` does.
    """
    signals = generate.recent(profile_id, actor=actor)
    if not signals:
        computed = computing.compute_and_act(actor=actor, profile_id=profile_id)
        signals = list(computed.computation.signals)
    return generate.generate(profile_id, signals=signals, actor=actor)
