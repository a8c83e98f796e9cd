"""Edits of the configuration: permissions, problems, and two editors at once."""

import json
from typing import Any

import pytest

from governance.access.actors import SYSTEM, Actor, NotAllowed
from governance.access.roles import ROLES
from governance.models import AuditTrailEntry
from governance.namespaces import registry
from orbit.cycles import trigger
from orbit.errors import (
    Disabled,
    DocumentInvalid,
    ProfileUnknown,
    RevisionUnknown,
    RunProfileUnknown,
    Stale,
)
from orbit.models import CycleRun, Profile, ProfileRevision, RunProfile
from orbit.profiles import edit
from orbit.profiles.expected import ANY, NEW, Expected, exactly
from orbit.profiles.kinds import PROFILE, RUN_PROFILE
from orbit.states import ProfileState, Trigger
from tests.support.configuration import profile, run_profile, store_profiles

pytestmark = pytest.mark.django_db
CONFIGURATOR = ROLES["Configurator"]


def confined(*namespaces: str) -> Actor:
    return Actor("con", None, CONFIGURATOR, frozenset(namespaces))


def save(
    document: dict[str, Any],
    expected: Expected,
    actor: Actor = SYSTEM,
    reason: str = "because",
) -> edit.EditResult:
    if "run_profile_id" in document:
        return edit.save(
            RUN_PROFILE,
            document["run_profile_id"],
            document,
            actor=actor,
            source="api",
            expected=expected,
            reason=reason,
        )
    return edit.save(
        PROFILE,
        document["profile_id"],
        document,
        actor=actor,
        source="api",
        expected=expected,
        reason=reason,
    )


def problems(document: Any, expected: Expected, actor: Actor = SYSTEM) -> dict[str, str]:
    with pytest.raises(DocumentInvalid) as exc_info:
        save(document, expected, actor)
    return {fault["pointer"]: fault["detail"] for fault in exc_info.value.errors}


def test_an_edit_is_the_next_revision_with_author_source_and_reason_and_one_audit_entry() -> None:
    store_profiles([profile()], [])
    result = save(profile(label="Other"), exactly(1))
    assert (result.revision, result.created, result.changed, result.document) == (
        2,
        False,
        True,
        profile(label="Other"),
    )
    row = ProfileRevision.objects.get(number=2)
    assert (row.author, row.source, row.reason) == ("orbit", "api", "because")
    entry = AuditTrailEntry.objects.get()
    assert (entry.action, entry.object_type, entry.object_id, entry.namespace, entry.reason) == (
        "profile.changed",
        "profile",
        "daily",
        None,
        "because",
    )
    assert (entry.before, entry.after) == (profile(), profile(label="Other"))


def test_a_run_profile_is_made_in_its_namespace() -> None:
    store_profiles([profile()], [])
    registry.ensure(["eu"])
    result = save(run_profile(), NEW)
    assert (result.revision, result.created) == (1, True)
    entry = AuditTrailEntry.objects.get()
    assert (entry.action, entry.namespace, entry.before, entry.after) == (
        "run_profile.changed",
        "eu",
        None,
        run_profile(),
    )


def test_an_edit_that_changes_nothing_is_no_revision_and_no_entry() -> None:
    store_profiles([profile(style_vector={"a": 1, "b": 2})], [])
    result = save(profile(style_vector={"b": 2, "a": 1.0}), exactly(1))
    assert (result.revision, result.changed) == (1, False)
    assert not AuditTrailEntry.objects.exists()


def test_the_second_editor_learns_who_saved_what_and_overwrites_nothing() -> None:
    store_profiles([profile()], [])
    save(profile(label="First"), exactly(1), Actor("ann", None, CONFIGURATOR, None), "faster")
    with pytest.raises(Stale, match=r"Revision 2 .* saved by ann .*: faster") as refusal:
        save(profile(label="Second"), exactly(1))
    assert (
        refusal.value.extra["current_revision"],
        refusal.value.extra["changed_by"],
        refusal.value.extra["reason"],
    ) == (2, "ann", "faster")
    assert Profile.objects.get().label == "First"
    save(profile(label="Second"), ANY)
    assert Profile.objects.get().label == "Second"


def test_an_existing_profile_is_not_created_and_a_missing_one_does_not_match() -> None:
    store_profiles([profile()], [])
    with pytest.raises(Stale, match=r"Revision 1 .* is the current one"):
        save(profile(label="x"), NEW)
    for expected in (exactly(1), ANY):
        with pytest.raises(Stale, match="There is no profile 'other'"):
            save(profile("other"), expected)
    assert not AuditTrailEntry.objects.exists()


def test_a_hidden_profile_comes_back_as_a_new_one_with_its_history() -> None:
    store_profiles([profile()], [])
    Profile.objects.update(hidden=True)
    with pytest.raises(Stale):
        save(profile(label="x"), exactly(1))
    result = save(profile(label="x"), NEW)
    assert (result.revision, result.created) == (2, True)
    assert not Profile.objects.get().hidden


def test_every_error_of_a_profile_is_named_with_its_pointer() -> None:
    store_profiles([profile()], [])
    document = profile(
        label="a\u202eb",
        more=1,
        state="on",
        value_tags=["\x07"],
        execution_rules={
            "tiers": {"1": {"transformer": "nope"}, "2": {"transformer": "template"}},
            "normalizer": {"processor": "x"},
        },
    )
    assert set(problems(document, exactly(1))) == {
        "/label",
        "/more",
        "/state",
        "/value_tags/0",
        "/execution_rules/tiers/1/transformer",
        "/execution_rules/tiers/2/options",
        "/execution_rules/normalizer/processor",
    }


def test_every_error_of_a_run_profile_is_named_with_its_pointer(settings) -> None:
    settings.ORBIT_DISPATCH_ENDPOINTS = json.dumps(
        [{"key": "hook", "url": "https://192.0.2.1/x", "method": "POST", "token": "t"}]
    )
    settings.ORBIT_DISPATCH_ALLOWED_HOSTS = ["192.0.2.1"]
    store_profiles([profile()], [run_profile()])
    policy = {"cron": "0 0 30 2 *", "time_zone": "Europe/Nowhere", "max_dispatch_retries": -1}
    document = run_profile(
        profile_id="unknown",
        namespace="nowhere",
        execution_policy=policy,
        distribution_targets=["hook", "gone"],
        extra=1,
    )
    by_pointer = problems(document, exactly(1))
    assert set(by_pointer) == {
        "/profile_id",
        "/namespace",
        "/execution_policy/cron",
        "/execution_policy/time_zone",
        "/execution_policy/max_dispatch_retries",
        "/distribution_targets/1",
        "/extra",
    }
    assert by_pointer["/execution_policy/cron"].startswith("Never fires")
    assert "POST /governance/namespaces" in by_pointer["/namespace"]


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ([], ""),
        (None, ""),
        ("x", ""),
        ({"profile_id": "other", "label": "x", "state": "enabled"}, "/profile_id"),
        ({"profile_id": 7}, "/profile_id"),
        ({}, ""),
        (
            {"profile_id": "daily", "label": "x", "state": "enabled", "style_vector": {"a": 2**60}},
            "/style_vector/a",
        ),
        (
            {
                "profile_id": "daily",
                "label": "x",
                "state": "enabled",
                "style_vector": {"a": "x" * 300_000},
            },
            "",
        ),
    ],
)
def test_an_invalid_document_or_one_of_another_id_is_refused(document: Any, pointer: str) -> None:
    store_profiles([profile()], [])
    with pytest.raises(DocumentInvalid) as exc_info:
        edit.save(PROFILE, "daily", document, actor=SYSTEM, source="api", expected=exactly(1))
    assert pointer in {fault["pointer"] for fault in exc_info.value.errors}
    assert Profile.objects.get().revision == 1


@pytest.mark.parametrize("role", ["Viewer", "Operator", "Reviewer"])
def test_only_a_user_who_may_configure_edits(role: str) -> None:
    store_profiles([profile()], [run_profile()])
    actor = Actor("x", None, ROLES[role], None)
    with pytest.raises(NotAllowed):
        save(profile(label="x"), exactly(1), actor)
    with pytest.raises(NotAllowed):
        edit.set_state(
            RUN_PROFILE, "daily-eu", ProfileState.DISABLED, actor=actor, source="admin", reason="x"
        )
    with pytest.raises(NotAllowed):
        edit.roll_back(
            PROFILE, "daily", 1, actor=actor, source="admin", reason="x", expected=exactly(1)
        )


def test_a_confined_editor_changes_only_profiles_of_their_namespaces() -> None:
    store_profiles(
        [profile("mine"), profile("both"), profile("other")],
        [
            run_profile("mine-a", "mine", "a"),
            run_profile("both-a", "both", "a"),
            run_profile("both-b", "both", "b"),
            run_profile("other-b", "other", "b"),
        ],
    )
    actor = confined("a")
    assert save(profile("mine", label="x"), exactly(1), actor).revision == 2
    with pytest.raises(NotAllowed, match="also runs in namespaces"):
        save(profile("both", label="x"), exactly(1), actor)
    with pytest.raises(NotAllowed, match="also runs"):
        edit.set_state(
            PROFILE, "both", ProfileState.DISABLED, actor=actor, source="admin", reason="x"
        )
    # What they don't see looks as if it weren't there.
    for hidden, missing in (
        (profile("other", label="x"), profile("absent-one", label="x")),
        (run_profile("other-b", "mine", "a"), run_profile("absent-1", "mine", "a")),
    ):
        messages = []
        for document in (hidden, missing):
            with pytest.raises(Stale) as exc_info:
                save(document, exactly(1), actor)
            messages.append(
                (
                    exc_info.value.detail.replace(
                        document.get("run_profile_id", document["profile_id"]), "ID"
                    ),
                    exc_info.value.extra,
                )
            )
        assert messages[0] == messages[1]
    with pytest.raises(RunProfileUnknown):
        edit.set_state(
            RUN_PROFILE, "other-b", ProfileState.DISABLED, actor=actor, source="admin", reason="x"
        )
    with pytest.raises(ProfileUnknown):
        edit.roll_back(
            PROFILE, "other", 1, actor=actor, source="admin", reason="x", expected=exactly(1)
        )


def test_a_move_is_visible_to_users_who_see_both_namespaces() -> None:
    store_profiles([profile()], [run_profile(namespace="a"), run_profile("other-b", namespace="b")])
    save(run_profile(namespace="a", value_tags=["x"]), exactly(1))
    save(run_profile(namespace="b"), exactly(2), confined("a", "b"))
    entries = AuditTrailEntry.objects.filter(action="run_profile.changed").order_by("id")
    assert [entry.namespace for entry in entries] == ["a", None]
    assert [entries[1].before["namespace"], entries[1].after["namespace"]] == ["a", "b"]


def test_a_confined_editor_moves_and_creates_nothing_in_other_namespaces() -> None:
    store_profiles(
        [profile("mine"), profile("other")],
        [run_profile("mine-a", "mine", "a"), run_profile("other-b", "other", "b")],
    )
    actor = confined("a")
    assert problems(run_profile("mine-a", "mine", "b"), exactly(1), actor)[
        "/namespace"
    ] == problems(run_profile("mine-a", "mine", "zz"), exactly(1), actor)["/namespace"].replace(
        "zz", "b"
    )
    assert set(problems(run_profile("new", "other", "a"), NEW, actor)) == {"/profile_id"}
    assert set(problems(run_profile("new", "mine", "b"), NEW, actor)) == {"/namespace"}
    with pytest.raises(NotAllowed, match="whole workspace"):
        save(profile("new"), NEW, actor)
    with pytest.raises(RunProfileUnknown, match="the id is taken"):
        save(run_profile("other-b", "mine", "a"), NEW, actor)
    assert save(run_profile("new", "mine", "a"), NEW, actor).created
    assert RunProfile.objects.get(run_profile_id="other-b").document["namespace"] == "b"


def test_a_roll_back_is_a_new_revision_of_the_old_document() -> None:
    store_profiles([profile()], [])
    save(profile(label="Second"), exactly(1))
    result = edit.roll_back(
        PROFILE,
        "daily",
        1,
        actor=SYSTEM,
        source="admin",
        expected=exactly(2),
        reason="it was better",
    )
    assert (result.revision, result.document) == (3, profile())
    assert ProfileRevision.objects.get(number=3).reason == "back to revision 1: it was better"
    assert AuditTrailEntry.objects.order_by("id").last().after == profile()
    with pytest.raises(Stale):
        edit.roll_back(
            PROFILE, "daily", 2, actor=SYSTEM, source="admin", expected=exactly(2), reason="x"
        )
    for number in (0, 9, 2**40, -1):
        with pytest.raises(RevisionUnknown):
            edit.roll_back(
                PROFILE,
                "daily",
                number,
                actor=SYSTEM,
                source="admin",
                expected=exactly(3),
                reason="x",
            )


def test_a_roll_back_to_an_invalid_document_is_refused_with_pointers() -> None:
    store_profiles(
        [profile("daily", execution_rules={"tiers": {"1": {"transformer": "gone"}}})], []
    )
    save(profile(), exactly(1))
    with pytest.raises(DocumentInvalid) as exc_info:
        edit.roll_back(
            PROFILE, "daily", 1, actor=SYSTEM, source="admin", expected=exactly(2), reason="x"
        )
    assert [fault["pointer"] for fault in exc_info.value.errors] == [
        "/execution_rules/tiers/1/transformer"
    ]


def start() -> CycleRun:
    return CycleRun.objects.get(
        pk=trigger.start(
            namespace=None, source=Trigger.COMMAND, actor=SYSTEM, run_profile_id="daily-eu"
        ).cycle_id
    )


def test_a_switch_applies_at_the_next_trigger_and_not_to_running_cycles() -> None:
    store_profiles([profile()], [run_profile()])
    running = start()
    edit.set_state(
        PROFILE, "daily", ProfileState.DISABLED, actor=SYSTEM, source="admin", reason="too loud"
    )
    running.refresh_from_db()
    assert (running.status, running.profile_revision) == ("pending", 1)
    CycleRun.objects.update(
        status="cancelled", finished_at="2026-01-01T00:00:00Z", next_due_at=None
    )
    with pytest.raises(Disabled):
        start()
    edit.set_state(
        PROFILE, "daily", ProfileState.ENABLED, actor=SYSTEM, source="admin", reason="fine again"
    )
    assert start().profile_revision == 3
    assert list(
        AuditTrailEntry.objects.filter(action="profile.changed")
        .order_by("id")
        .values_list("after__state", "reason")
    ) == [("disabled", "too loud"), ("enabled", "fine again")]


def test_nothing_that_is_wrong_with_a_document_keeps_it_enabled(settings) -> None:
    store_profiles([profile()], [run_profile(distribution_targets=["gone"])])
    assert (
        edit.set_state(
            RUN_PROFILE, "daily-eu", ProfileState.DISABLED, actor=SYSTEM, source="admin", reason="x"
        ).revision
        == 2
    )
    with pytest.raises(DocumentInvalid):
        edit.set_state(
            RUN_PROFILE, "daily-eu", ProfileState.ENABLED, actor=SYSTEM, source="admin", reason="x"
        )
