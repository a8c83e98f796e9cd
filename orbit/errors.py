"""The errors that several rooms share."""

from governance.kernel.errors import Kind, OrbitError


class CycleActive(OrbitError):
    """A cycle is already active in this namespace."""

    code, kind = "cycle_active", Kind.CONFLICT


class CyclesActive(OrbitError):
    """Cycles are active, so the configuration can't be replaced now."""

    code, kind = "cycles_active", Kind.CONFLICT


class CycleUnknown(OrbitError):
    """There is no such cycle."""

    code, kind = "unknown_cycle", Kind.MISSING


class CycleFinished(OrbitError):
    """This cycle has finished: its status is final."""

    code, kind = "finished", Kind.CONFLICT


class NotFinished(OrbitError):
    """This cycle hasn't finished yet."""

    code, kind = "not_finished", Kind.CONFLICT


class DeliveriesOpen(OrbitError):
    """Deliveries of this cycle are still open."""

    code, kind = "deliveries_open", Kind.CONFLICT


class RunProfileUnknown(OrbitError):
    """There is no such run profile."""

    code, kind = "unknown_run_profile", Kind.MISSING


class ProfileUnknown(OrbitError):
    """There is no such profile."""

    code, kind = "unknown_profile", Kind.MISSING


class RevisionUnknown(OrbitError):
    """There is no such revision."""

    code, kind = "unknown_revision", Kind.MISSING


class Stale(OrbitError):
    """Another revision was saved meanwhile."""

    code, kind = "stale", Kind.STALE


class DocumentInvalid(OrbitError):
    """This document can't be used."""

    code, kind = "invalid_document", Kind.INVALID


class Disabled(OrbitError):
    """This run profile, or its profile, is disabled."""

    code, kind = "disabled", Kind.CONFLICT


class NamespaceMismatch(OrbitError):
    """This run profile runs in another namespace."""

    code, kind = "namespace_mismatch", Kind.INVALID


class PayloadTooLarge(OrbitError):
    """This payload is over the limit."""

    code, kind = "payload_too_large", Kind.TOO_LARGE


class LetterUnknown(OrbitError):
    """There is no such dead letter."""

    code, kind = "unknown_dead_letter", Kind.MISSING


class AlreadyRequeued(OrbitError):
    """This dead letter has been requeued already."""

    code, kind = "already_requeued", Kind.CONFLICT


class AlreadyResolved(OrbitError):
    """This dead letter has been dismissed, or its delivery was confirmed late."""

    code, kind = "already_resolved", Kind.CONFLICT


class EndpointGone(OrbitError):
    """The endpoint of this delivery can't be used any more."""

    code, kind = "endpoint_gone", Kind.CONFLICT


class ConductorRunUnknown(OrbitError):
    """There is no such conductor run."""

    code, kind = "unknown_conductor_run", Kind.MISSING


class TaskUnknown(OrbitError):
    """There is no such task."""

    code, kind = "unknown_task", Kind.MISSING


class LeaseLost(OrbitError):
    """This lease is over: the task was released, or another worker has it."""

    code, kind = "lease_lost", Kind.CONFLICT


class InvalidTransition(OrbitError):
    """The task's state doesn't allow this."""

    code, kind = "invalid_transition", Kind.CONFLICT


class EndpointUnknown(OrbitError):
    """There is no such endpoint."""

    code, kind = "unknown_endpoint", Kind.MISSING


class JustTested(OrbitError):
    """This endpoint was tested a moment ago."""

    code, kind = "tested_just_now", Kind.CONFLICT
