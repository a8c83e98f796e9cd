"""API tokens, namespace grants and login attempts."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from governance.models.namespace import Namespace


class ApiToken(models.Model):
    """A bearer token, stored as its SHA-256."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens"
    )
    name = models.CharField(max_length=100, default="", blank=True)
    prefix = models.CharField(max_length=16)
    token_hash = models.CharField(max_length=64, unique=True)
    scopes = ArrayField(models.CharField(max_length=20))
    namespaces = ArrayField(models.CharField(max_length=100), null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(scopes__contained_by=["read", "operate", "review", "configure"]),
                name="token_scopes_known",
            ),
            models.CheckConstraint(condition=~models.Q(scopes=[]), name="token_has_a_scope"),
        ]

    def __str__(self) -> str:
        return f"{self.prefix}... of {self.owner}"


class WorkspaceGrant(models.Model):
    """A user who sees the whole workspace. Without any grant a user sees nothing."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="workspace_grant",
    )

    def __str__(self) -> str:
        return f"{self.user}: the whole workspace"


class NamespaceGrant(models.Model):
    """A namespace that a user sees."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="namespace_grants"
    )
    namespace = models.ForeignKey(Namespace, on_delete=models.PROTECT, related_name="grants")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "namespace"], name="one_grant_per_user_and_namespace"
            )
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.namespace}"


class LoginAttempt(models.Model):
    """Login attempts under a name from an address, until ``ends_at``."""

    name = models.CharField(max_length=200)
    address = models.CharField(max_length=50)
    failures = models.PositiveSmallIntegerField()
    # What is audited: 0 nothing, 1 a failure, 2 the lock-out.
    told = models.PositiveSmallIntegerField(default=0, db_default=0)
    since = models.DateTimeField()
    ends_at = models.DateTimeField()

    class Meta:
        ordering = ["-ends_at"]
        indexes = [models.Index(fields=["ends_at"], name="login_attempt_end")]
        constraints = [
            models.UniqueConstraint(
                fields=["name", "address"], name="one_count_per_name_and_address"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} from {self.address}"
