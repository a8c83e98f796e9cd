"""All states of the app."""

from enum import StrEnum

from governance.kernel.machines import Machine


class SignalKind(StrEnum):
    """What a computation says about a profile in a window."""

    ELEVATED = "elevated_performance"
    STABLE = "stable"
    LOW = "low_performance"
    INSUFFICIENT = "insufficient_data"


class Proposal(StrEnum):
    """A strategy proposal. It stays pending until a user acts, its time is over, or the document
    that it changes has moved on.
    """

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"


PROPOSAL = Machine(
    Proposal,
    {
        Proposal.PENDING: {
            Proposal.APPROVED,
            Proposal.REJECTED,
            Proposal.SUPERSEDED,
            Proposal.EXPIRED,
        }
    },
)


class Verdict(StrEnum):
    """What one reviewer says to a proposal."""

    APPROVE = "approve"
    REJECT = "reject"


class Probation(StrEnum):
    """An approval that ends by itself unless someone confirms it."""

    RUNNING = "running"
    CONFIRMED = "confirmed"
    ROLLED_BACK = "rolled_back"
    #: A user edited the document meanwhile, so nothing was rolled back.
    SKIPPED = "skipped"


PROBATION = Machine(
    Probation,
    {Probation.RUNNING: {Probation.CONFIRMED, Probation.ROLLED_BACK, Probation.SKIPPED}},
)


class Forecast(StrEnum):
    """Whether an approved proposal did what its author said it would."""

    WAITING = "waiting"
    CAME_TRUE = "came_true"
    DID_NOT = "did_not"
    CANNOT_TELL = "cannot_tell"


FORECAST = Machine(
    Forecast,
    {Forecast.WAITING: {Forecast.CAME_TRUE, Forecast.DID_NOT, Forecast.CANNOT_TELL}},
)
