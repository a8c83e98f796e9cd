"""``manage.py config check|diff|reload|export``: configuration files against the database."""

import json
from argparse import SUPPRESS, ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings

from governance.access import actors
from governance.kernel.commands import EXIT, OrbitCommand
from governance.kernel.errors import OrbitError
from governance.kernel.json_diff import ABSENT
from orbit.profiles import autonomy_file, drift, export, reload

DIFFERENT = 1
_ACTIONS = {
    "check": "check the files, the endpoints and their addresses",
    "diff": "show where files and database differ",
    "reload": "apply the files to the database",
    "export": "write the database into the files",
}


class _Answer(NamedTuple):
    document: Any
    lines: list[str]
    exit_code: int = 0


# Exit codes: 0; 1 if `diff` finds a difference; 2 for invalid files or endpoints; 4 if a cycle is
# active at a `reload`.
class Command(OrbitCommand):
    help = "Checks the configuration files, compares, applies or writes them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON document")
        actions = parser.add_subparsers(dest="action", required=True)
        for name, text in _ACTIONS.items():
            action = actions.add_parser(name, help=text)
            # SUPPRESS: a default here would undo a --json before the action.
            action.add_argument(
                "--json", action="store_true", default=SUPPRESS, help="print one JSON document"
            )
            if name in {"reload", "export"}:
                action.add_argument("--reason", default="", help="why, for the audit trail")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            answer: _Answer = getattr(self, f"_{options['action']}")(options)
        except OrbitError as error:
            if not options["json"]:
                raise
            document = {
                "code": error.code,
                "detail": error.detail,
                "errors": error.errors,
                **error.extra,
            }
            answer = _Answer(document, [], EXIT[error.kind])
        if options["json"]:
            self.print_json(answer.document)
        else:
            for line in answer.lines:
                self.say(line)
        if answer.exit_code:
            raise SystemExit(answer.exit_code)

    def _check(self, options: dict[str, Any]) -> _Answer:
        documents, warnings = reload.read_checked(resolve=True, policies=True)
        for warning in warnings:
            self.warn(f"warning: {warning}")
        profiles, run_profiles = len(documents.profiles), len(documents.run_profiles)
        policies = len(autonomy_file.read(Path(settings.ORBIT_CONFIG_DIR))[0])
        line = (
            f"The configuration is valid: {profiles} profile{'' if profiles == 1 else 's'},"
            f" {run_profiles} run profile{'' if run_profiles == 1 else 's'}"
            + (f", {policies} of autonomy's policies" if policies else "")
            + "."
        )
        document = {
            "valid": True,
            "profiles": profiles,
            "run_profiles": run_profiles,
            "policies": policies,
            "warnings": warnings,
        }
        return _Answer(document, [line])

    def _diff(self, options: dict[str, Any]) -> _Answer:
        differences = drift.differences(actor=actors.operator())
        lines = [
            f"{difference.file} {difference.id}{difference.pointer}:"
            f" files {_value(difference.in_files)}, database {_value(difference.in_database)}"
            for difference in differences
        ]
        return _Answer(
            [difference.to_dict() for difference in differences],
            lines or ["Files and database are the same."],
            DIFFERENT if differences else 0,
        )

    def _reload(self, options: dict[str, Any]) -> _Answer:
        summary = reload.apply_files(actor=actors.operator(), reason=options["reason"])
        lines = [
            *(f"created {name}" for name in summary.created),
            *(f"changed {name}" for name in summary.changed),
            *(f"hidden {name}" for name in summary.hidden),
            f"{len(summary.created)} created, {len(summary.changed)} changed,"
            f" {len(summary.hidden)} hidden, {summary.unchanged} unchanged.",
        ]
        return _Answer(asdict(summary), lines)

    def _export(self, options: dict[str, Any]) -> _Answer:
        paths = [
            str(path)
            for path in export.export(
                Path(settings.ORBIT_CONFIG_DIR), actor=actors.operator(), reason=options["reason"]
            )
        ]
        return _Answer({"written": paths}, [f"wrote {path}" for path in paths])


def _value(value: Any) -> str:
    return "nothing" if value is ABSENT else json.dumps(value, ensure_ascii=False)
