"""The reasons that users give for their actions."""

from governance.kernel.errors import Kind, OrbitError

MAX_LENGTH = 2000
#: Shown in place of an empty reason.
NO_REASON = "none given"


class ReasonInvalid(OrbitError):
    """This needs a reason in words, of at most 2000 characters."""

    code, kind = "invalid_reason", Kind.INVALID
