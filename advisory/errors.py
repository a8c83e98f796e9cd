"""The errors that several rooms share."""

from governance.kernel.errors import Kind, OrbitError


class ProposalUnknown(OrbitError):
    """There is no such strategy proposal."""

    code, kind = "unknown_proposal", Kind.MISSING


class SignalUnknown(OrbitError):
    """There is no such signal."""

    code, kind = "unknown_signal", Kind.MISSING


class AlreadyDecided(OrbitError):
    """This proposal is decided already."""

    code, kind = "already_decided", Kind.CONFLICT


class Superseded(OrbitError):
    """The document has changed since this proposal was made, so the proposal is superseded."""

    code, kind = "superseded", Kind.CONFLICT


class Expired(OrbitError):
    """The time to decide this proposal is over: that means no."""

    code, kind = "expired", Kind.CONFLICT


class OwnProposal(OrbitError):
    """This is your own proposal: another user has to decide it."""

    code, kind = "own_proposal", Kind.DENIED


class ChangedSinceSeen(OrbitError):
    """What this proposal shows has changed since you saw it. Read it again, then decide."""

    code, kind = "changed_since_seen", Kind.CONFLICT
