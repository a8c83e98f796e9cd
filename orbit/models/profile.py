"""Profiles and run profiles: what runs, with every revision kept."""

from django.db import models
from django.db.models.functions import Now

from governance.models import Namespace
from orbit.states import ProfileState

SOURCES = ("files", "reload", "admin", "api", "proposal", "autonomy")


class Profile(models.Model):
    """What a cycle does."""

    profile_id = models.CharField(max_length=100, unique=True)
    label = models.CharField(max_length=200)
    state = models.CharField(max_length=10)
    # The whole profile, as in the files and the API. The columns repeat parts of it.
    document = models.JSONField()
    revision = models.PositiveIntegerField()
    hidden = models.BooleanField(default=False, db_default=False)
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["profile_id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=[str(s) for s in ProfileState]), name="profile_state"
            ),
        ]

    def __str__(self) -> str:
        return self.profile_id


class RunProfile(models.Model):
    """Where and when a profile runs, and where it delivers."""

    run_profile_id = models.CharField(max_length=100, unique=True)
    profile = models.ForeignKey(Profile, on_delete=models.PROTECT, related_name="run_profiles")
    namespace = models.ForeignKey(
        Namespace,
        on_delete=models.PROTECT,
        to_field="name",
        db_column="namespace",
        related_name="+",
    )
    state = models.CharField(max_length=10)
    document = models.JSONField()
    revision = models.PositiveIntegerField()
    hidden = models.BooleanField(default=False, db_default=False)
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["run_profile_id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=[str(s) for s in ProfileState]),
                name="run_profile_state",
            ),
        ]

    def __str__(self) -> str:
        return self.run_profile_id


class _Revision(models.Model):
    number = models.PositiveIntegerField()
    document = models.JSONField()
    author = models.CharField(max_length=200)
    source = models.CharField(max_length=10)
    reason = models.TextField(default="", blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"revision {self.number}"


class ProfileRevision(_Revision):
    """A profile as it was saved once."""

    profile = models.ForeignKey(Profile, on_delete=models.PROTECT, related_name="revisions")

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["profile", "number"], name="one_profile_revision_per_number"
            ),
            models.CheckConstraint(
                condition=models.Q(source__in=SOURCES), name="profile_revision_source"
            ),
        ]


class RunProfileRevision(_Revision):
    """A run profile as it was saved once."""

    run_profile = models.ForeignKey(RunProfile, on_delete=models.PROTECT, related_name="revisions")

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["run_profile", "number"], name="one_run_profile_revision_per_number"
            ),
            models.CheckConstraint(
                condition=models.Q(source__in=SOURCES), name="run_profile_revision_source"
            ),
        ]


class AppliedFiles(models.Model):
    """The files that were last applied. One row; reloads lock it."""

    id = models.SmallIntegerField(primary_key=True)
    sha256 = models.CharField(max_length=64)
    applied_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(id=1), name="applied_files_is_one_row")
        ]
        verbose_name_plural = "applied files"

    def __str__(self) -> str:
        return self.sha256
