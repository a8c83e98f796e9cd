"""The tables of governance."""

from governance.models.access import ApiToken, LoginAttempt, NamespaceGrant, WorkspaceGrant
from governance.models.alert import Alert, AlertWatch, Notification
from governance.models.audit import AuditHead, AuditTrailEntry
from governance.models.namespace import GovernanceSetting, Namespace, Stop
from governance.models.operation import OperationRun, OperationRunItem, PeriodicWork
from governance.models.request import IdempotentRequest, RequestCount
from governance.models.saved_filter import SavedFilter

__all__ = [
    "Alert",
    "AlertWatch",
    "ApiToken",
    "AuditHead",
    "AuditTrailEntry",
    "GovernanceSetting",
    "IdempotentRequest",
    "LoginAttempt",
    "Namespace",
    "NamespaceGrant",
    "Notification",
    "OperationRun",
    "OperationRunItem",
    "PeriodicWork",
    "RequestCount",
    "SavedFilter",
    "Stop",
    "WorkspaceGrant",
]
