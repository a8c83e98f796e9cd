"""Whether a claim may find anything: what the web server asks while workers wait."""

from governance.kernel import sql

IS_THERE_ANY = sql.load(__name__, "is_there_claimable")


def is_there_any() -> bool:
    """Return whether a task is ready or has lost its worker, of any run and namespace.

    It doesn't ask whether the gate is open, nor who may see the task: the claim does.
    """
    ((answer,),) = IS_THERE_ANY.rows()
    return bool(answer)
