"""Every module has a test of its own name, or its line here says which test holds it."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
APPS = {
    "orbit_site": "site",
    "orbit": "orbit",
    "telemetry": "telemetry",
    "governance": "governance",
}

# Wiring and tables of names hold nothing that a test could miss: what they name is used by every other test.
WIRING = {
    "orbit_site/urls.py", "orbit_site/wsgi.py", "orbit_site/settings/cluster.py", "orbit_site/settings/framework.py",
    "orbit_site/settings/security.py", "orbit/errors.py", "telemetry/events.py", "governance/states.py", "governance/kernel/errors.py",
}  # fmt: skip

HELD_BY = {
    "orbit_site/formats/en/formats.py": "tests/site/settings/test_environment.py",
    "orbit_site/permissions.py": "tests/contract/test_permissions.py",
    "orbit_site/documentation.py": "tests/house/test_documents.py",
    "orbit_site/console/header.py": "tests/site/console/test_stops.py",
    "orbit_site/console/banner.py": "tests/site/console/test_pages.py",
    "orbit_site/console/site.py": "tests/site/console/test_pages.py",
    "orbit_site/management/commands/backup.py": "tests/site/backup/test_make.py",
    "orbit_site/management/commands/restore.py": "tests/site/backup/test_load.py",
    "orbit_site/management/commands/cluster.py": "tests/site/processes/test_cluster.py",
    "orbit_site/management/commands/health.py": "tests/site/processes/test_health.py",
    "orbit_site/management/commands/qcluster.py": "tests/site/processes/test_cluster.py",
    "orbit_site/management/commands/up.py": "tests/site/processes/test_up.py",
    "orbit_site/management/commands/web.py": "tests/site/processes/test_web.py",
    "orbit_site/processes/listener.py": "tests/site/processes/test_watch.py",
    "orbit_site/processes/pg_data_dir.py": "tests/site/processes/test_postgres.py",
    "orbit_site/processes/demo.py": "tests/site/processes/test_up.py",
    "orbit_site/processes/parent_death.py": "tests/site/processes/test_children.py",
    "orbit_site/processes/pg_paths.py": "tests/site/processes/test_postgres.py",
    "orbit_site/processes/pending_migrations.py": "tests/site/processes/test_web.py",
    "orbit/admin/cycles.py": "tests/site/console/test_pages.py",
    "orbit/admin/dispatch.py": "tests/site/console/test_pages.py",
    "orbit/admin/pause.py": "tests/site/console/test_stops.py",
    "orbit/admin/pipeline.py": "tests/site/console/test_pages.py",
    "orbit/admin/document_form.py": "tests/orbit/admin/test_editing.py",
    "orbit/admin/form_fields.py": "tests/orbit/admin/test_editing.py",
    "orbit/admin/profiles.py": "tests/orbit/admin/test_editing.py",
    "orbit/admin/records.py": "tests/site/console/test_pages.py",
    "governance/operations/items.py": "tests/orbit/dispatch/test_redrive.py",
    "governance/operations/wait_for_run.py": "tests/orbit/management/test_commands.py",
    "orbit/cycles/rerun/preview.py": "tests/orbit/api/test_reruns.py",
    "orbit/dispatch/batches.py": "tests/orbit/dispatch/test_redrive.py",
    "orbit/api/schemas.py": "tests/orbit/api",
    "orbit/cycles/cancel.py": "tests/orbit/cycles/test_advance.py",
    "orbit/cycles/clusters.py": "tests/site/test_health.py",
    "orbit/cycles/lease.py": "tests/orbit/cycles/test_advance.py",
    "orbit/cycles/rerun/history.py": "tests/orbit/cycles/test_rerun.py",
    "orbit/cycles/listing.py": "tests/orbit/api",
    "orbit/cycles/runner.py": "tests/orbit/cycles/test_advance.py",
    "orbit/cycles/skip_log.py": "tests/orbit/cycles/test_orchestrate.py",
    "orbit/cycles/progress.py": "tests/orbit/cycles/test_advance.py",
    "orbit/cycles/rerun/plan.py": "tests/orbit/cycles/test_rerun.py",
    "orbit/dispatch/claim.py": "tests/orbit/dispatch/test_deliver.py",
    "orbit/dispatch/enqueue.py": "tests/orbit/dispatch/test_deliver.py",
    "orbit/dispatch/flight.py": "tests/orbit/dispatch/test_deliver.py",
    "orbit/dispatch/judge.py": "tests/orbit/dispatch/test_inquiry.py",
    "orbit/dispatch/tally.py": "tests/orbit/cycles/test_finish.py",
    "orbit/management/commands/cycles.py": "tests/orbit/management/test_commands.py",
    "orbit/management/commands/dlq.py": "tests/orbit/management/test_commands.py",
    "orbit/management/commands/trigger.py": "tests/orbit/management/test_commands.py",
    "orbit/management/commands/why.py": "tests/orbit/management/test_commands.py",
    "orbit/schedules/listing.py": "tests/orbit/api/test_schedules.py",
    "orbit/schedules/stop_history.py": "tests/orbit/schedules/test_explain.py",
    "orbit/pipeline/initiation.py": "tests/orbit/cycles/test_stages.py",
    "orbit/pipeline/normalization.py": "tests/orbit/cycles/test_stages.py",
    "orbit/pipeline/transformations.py": "tests/orbit/cycles/test_stages.py",
    "orbit/profiles/drift.py": "tests/orbit/admin/test_drift.py",
    "orbit/profiles/history.py": "tests/orbit/api/test_revisions.py",
    "orbit/profiles/kinds.py": "tests/orbit/api/test_profiles.py",
    "orbit/profiles/preview.py": "tests/orbit/admin/test_editing.py",
    "orbit/profiles/visible.py": "tests/orbit/api",
    "orbit/records/checkpoints.py": "tests/orbit/cycles/test_stages.py",
    "orbit/records/execution.py": "tests/orbit/records/test_append_only.py",
    "orbit/records/fence.py": "tests/orbit/cycles/test_advance.py",
    "orbit/schedules/rows.py": "tests/orbit/schedules/test_sync.py",
    "orbit/records/value_ledger.py": "tests/orbit/cycles/test_stages.py",
    "telemetry/admin/events.py": "tests/site/console/test_pages.py",
    "telemetry/emit.py": "tests/orbit/cycles/test_stages.py",
    "governance/access/actors.py": "tests/governance/access/test_tokens.py",
    "governance/access/roles.py": "tests/governance/access/test_tokens.py",
    "governance/admin/namespaces.py": "tests/site/console/test_stops.py",
    "governance/access/overview.py": "tests/governance/admin/test_access_page.py",
    "governance/access/users.py": "tests/governance/management/test_user_and_token.py",
    "governance/admin/records.py": "tests/site/console/test_pages.py",
    "governance/audit/chain.py": "tests/governance/audit/test_trail.py",
    "governance/audit/head.py": "tests/governance/audit/test_verify.py",
    "governance/audit/links.py": "tests/governance/admin/test_audit.py",
    "governance/audit/search.py": "tests/governance/api/test_audit.py",
    "governance/console/base.py": "tests/site/console/test_pages.py",
    "governance/console/pages.py": "tests/site/console/test_pages.py",
    "governance/console/filters.py": "tests/site/console/test_pages.py",
    "governance/kernel/append_only.py": "tests/orbit/records/test_append_only.py",
    "governance/kernel/backoff.py": "tests/orbit/dispatch/test_outcome.py",
    "governance/kernel/commands.py": "tests/orbit/management/test_commands.py",
    "governance/kernel/machines.py": "tests/orbit/test_states.py",
    "governance/management/commands/_stopping.py": "tests/governance/management/test_stopping.py",
    "governance/management/commands/drain.py": "tests/governance/management/test_stopping.py",
    "governance/management/commands/halt.py": "tests/governance/management/test_stopping.py",
    "governance/management/commands/namespace.py": "tests/governance/management/test_stopping.py",
    "governance/management/commands/pause.py": "tests/governance/management/test_stopping.py",
    "governance/management/commands/resume.py": "tests/governance/management/test_stopping.py",
    "governance/management/commands/unpause.py": "tests/governance/management/test_stopping.py",
    "governance/kernel/request_context.py": "tests/governance/api/test_audit.py",
    "governance/management/commands/audit.py": "tests/governance/audit/test_export.py",
    "governance/management/commands/token.py": "tests/governance/management",
    "governance/management/commands/user.py": "tests/governance/management",
    "governance/namespaces/status.py": "tests/governance/namespaces/test_halts.py",
    "governance/namespaces/stops.py": "tests/governance/namespaces/test_halts.py",
    "governance/operations/counts.py": "tests/governance/operations/test_ledger.py",
    "governance/rest/conditions.py": "tests/orbit/api/test_profiles.py",
    "governance/rest/authentication.py": "tests/contract/test_who_may.py",
    "governance/rest/parsing.py": "tests/contract/test_bad_input.py",
    "governance/rest/permissions.py": "tests/contract/test_who_may.py",
    "governance/rest/problem.py": "tests/contract/test_bad_input.py",
    "governance/rest/queries.py": "tests/contract/test_bad_input.py",
    "governance/rest/resources.py": "tests/house/test_routes.py",
    "governance/rest/schemas.py": "tests/governance/rest/test_openapi.py",
    "governance/templatetags/console.py": "tests/site/console/test_pages.py",
}


def without_twin() -> set[str]:
    found = set()
    for app, mirror in APPS.items():
        for path in (PROJECT / app).rglob("*.py"):
            inside = path.relative_to(PROJECT / app)
            if {"migrations", "models"} & set(inside.parts) or path.stem in {"__init__", "apps"}:
                continue
            folder = Path(*(part for part in inside.parent.parts if part != "commands"))
            if not (PROJECT / "tests" / mirror / folder / f"test_{path.stem}.py").exists():
                found.add(str(path.relative_to(PROJECT)))
    return found


def test_every_module_has_its_test() -> None:
    assert sorted(without_twin() - WIRING - HELD_BY.keys()) == []


def test_no_line_here_is_out_of_date() -> None:
    assert sorted((WIRING | HELD_BY.keys()) - without_twin()) == []
    assert [test for test in HELD_BY.values() if not (PROJECT / test).exists()] == []
