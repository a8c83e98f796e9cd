"""The actions of the audit trail."""

from enum import StrEnum


class Action(StrEnum):
    """An action. The values are part of the contract: add some, but never change one."""

    object_type: str  # of the entry's object, unless the caller names another
    label: str  # for the docs and the console

    def __new__(cls, value: str, object_type: str, label: str) -> "Action":
        """Make a member with two attributes."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.object_type = object_type
        member.label = label
        return member

    ALERT_ACKNOWLEDGED = "alert.acknowledged", "alert", "An alert was acknowledged"
    APPROVAL_GIVEN = "approval.given", "proposal", "A proposal got one of several approvals"
    APPROVAL_POLICY_CHANGED = (
        "approval_policy.changed",
        "approval_policy",
        "The rules for approvals of a namespace were changed",
    )
    ARCHIVE_VERIFIED = "archive.verified", "telemetry_archive", "An archive of events was verified"
    AUTONOMY_ACTED = "autonomy.acted", "autonomy_action", "A policy of autonomy changed a document"
    AUTONOMY_REVERTED = "autonomy.reverted", "autonomy_action", "An action of autonomy was reverted"
    BACKUP_MADE = "backup.made", "backup", "A backup was made"
    BACKUP_RESTORED = "backup.restored", "backup", "A backup was restored"
    CONDUCTOR_RUN_CANCELLED = (
        "conductor_run.cancelled",
        "conductor_run",
        "A conductor run was cancelled",
    )
    CONDUCTOR_RUN_CREATED = (
        "conductor_run.created",
        "conductor_run",
        "A conductor run was created",
    )
    CONDUCTOR_TASK_CANCELLED = (
        "conductor_task.cancelled",
        "conductor_task",
        "A conductor task was cancelled",
    )
    CONDUCTOR_TASK_RELEASED = (
        "conductor_task.released",
        "conductor_task",
        "A conductor task was taken from its worker",
    )
    CONDUCTOR_TASK_RETRIED = (
        "conductor_task.retried",
        "conductor_task",
        "A failed conductor task was made to run again",
    )
    CONFIG_EXPORTED = "config.exported", "config", "The configuration was written to its files"
    CONFIG_RELOADED = "config.reloaded", "config", "The configuration was loaded from its files"
    CYCLE_CANCELLED = "cycle.cancelled", "cycle", "A cycle was cancelled"
    CYCLE_RERUN = "cycle.rerun", "cycle", "An ended cycle was run again"
    CYCLE_TRIGGERED = "cycle.triggered", "cycle", "Cycles were triggered"
    DEAD_LETTER_CREATED = "dead_letter.created", "dispatch_job", "Deliveries became dead letters"
    DEAD_LETTER_DISMISSED = "dead_letter.dismissed", "dead_letter", "Dead letters were dismissed"
    DEAD_LETTER_REQUEUED = "dead_letter.requeued", "dead_letter", "Dead letters were requeued"
    DECISION_REFUSED = "decision.refused", "proposal", "A decision on a proposal was refused"
    DELIVERY_CONFIRMED_LATE = "delivery.confirmed_late", "dispatch_job", "A 2xx arrived late"
    DISPATCH_FAILED = "dispatch.failed", "cycle", "Delivery attempts of a cycle failed"
    ENDPOINT_TESTED = "endpoint.tested", "endpoint", "A marked test delivery was sent"
    LOGIN_FAILED = "login.failed", "user", "A wrong password was entered"
    LOGIN_LOCKED = "login.locked", "user", "A login was locked"
    NAMESPACE_CREATED = "namespace.created", "namespace", "A namespace was created"
    NAMESPACE_DRAINED = "namespace.drained", "namespace", "A namespace was drained"
    NAMESPACE_HALTED = "namespace.halted", "namespace", "A namespace was halted"
    NAMESPACE_RESUMED = "namespace.resumed", "namespace", "A halt or drain ended"
    OPERATION_CANCELLED = "operation.cancelled", "operation_run", "A bulk operation was cancelled"
    OPERATION_STARTED = "operation.started", "operation_run", "A bulk operation was started"
    PAUSE_LIFTED = "pause.lifted", "pause", "The pause of the workspace ended"
    PAUSE_SET = "pause.set", "pause", "The whole workspace was paused"
    PRUNED = "retention.pruned", "operation_run", "What finished long ago was deleted"
    PROBATION_CONFIRMED = "probation.confirmed", "proposal", "A change on probation was confirmed"
    PROBATION_ENDED = "probation.ended", "proposal", "A probation ended without a confirmation"
    PROFILE_CHANGED = "profile.changed", "profile", "A profile was edited"
    PROPOSAL_APPROVED = "proposal.approved", "proposal", "A proposal was approved"
    PROPOSAL_CREATED = "proposal.created", "proposal", "Proposals were made"
    PROPOSAL_ENDED = "proposal.ended", "proposal", "A proposal ended without a decision"
    PROPOSAL_REJECTED = "proposal.rejected", "proposal", "A proposal was rejected"
    RUN_PROFILE_CHANGED = "run_profile.changed", "run_profile", "A run profile was edited"
    SCHEDULE_CHANGED = "schedule.changed", "schedule", "A schedule was overridden"
    SAVED_FILTER_REMOVED = "saved_filter.removed", "saved_filter", "A shared filter was deleted"
    SAVED_FILTER_SHARED = "saved_filter.shared", "saved_filter", "A user shared a filter of a list"
    SEEN_MARKED = "seen.marked", "cycle", "A user said that they look after it"
    SIGNALS_COMPUTED = "signals.computed", "signal_computation", "Signals were computed"
    TOKEN_CREATED = "token.created", "token", "An API token was created"
    TOKEN_REVOKED = "token.revoked", "token", "An API token was revoked"
    USER_CHANGED = "user.changed", "user", "A user or a lock-out was changed"
