"""``config check|diff|reload|export``: the configuration files, and the database that runs."""

import json
from argparse import SUPPRESS, ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings

from governance.access import actors
from governance.kernel.commands import EXIT, OrbitCommand
from governance.kernel.errors import OrbitError
from orbit.profiles import diff, export, reload
from orbit.profiles.diff import ABSENT

DIFFERENT = 1


class Command(OrbitCommand):
    """Exits 0; 1 where `diff` finds a difference; 2 for files or endpoints that can't be used; 4 where `reload` meets an active cycle."""

    help = "Checks the configuration files, compares them with the database, applies them, or writes the database into them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON document")
        actions = parser.add_subparsers(dest="action", required=True)
        for name, does in (("check", "check files, endpoints and their addresses"), ("diff", "show where files and database differ"),
                           ("reload", "make the database what the files say"), ("export", "write the database into the files")):  # fmt: skip
            action = actions.add_parser(name, help=does)
            action.add_argument(
                "--json", action="store_true", default=SUPPRESS, help="print one JSON document"
            )
            if name in {"reload", "export"}:
                action.add_argument("--reason", default="", help="why, for the audit trail")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            answer, lines, code = getattr(self, f"_{options['action']}")(options)
        except OrbitError as error:
            if not options["json"]:
                raise
            answer, lines, code = (
                {"code": error.code, "detail": error.detail, "errors": error.errors, **error.extra},
                [],
                EXIT[error.kind],
            )
        if options["json"]:
            self.print_json(answer)
        else:
            self.say("\n".join(lines))
        if code:
            raise SystemExit(code)

    def _check(self, options: dict[str, Any]) -> tuple[Any, list[str], int]:
        documents, warnings = reload.read_checked(resolve=True)
        for warning in warnings:
            self.stderr.write(f"warning: {warning}")
        counts = {"profiles": len(documents.profiles), "run_profiles": len(documents.run_profiles)}
        said = (
            "The configuration can be used: "
            + ", ".join(
                f"{count} {kind}{'' if count == 1 else 's'}"
                for kind, count in (
                    ("profile", counts["profiles"]),
                    ("run profile", counts["run_profiles"]),
                )
            )
            + "."
        )
        return {"valid": True, **counts, "warnings": warnings}, [said], 0

    def _diff(self, options: dict[str, Any]) -> tuple[Any, list[str], int]:
        found = diff.differences(actor=actors.operator())
        lines = [
            f"{one.file} {one.id}{one.pointer}: files {_shown(one.in_files)}, database {_shown(one.in_database)}"
            for one in found
        ]
        return (
            [one.as_json() for one in found],
            lines or ["Files and database say the same."],
            DIFFERENT if found else 0,
        )

    def _reload(self, options: dict[str, Any]) -> tuple[Any, list[str], int]:
        done = reload.apply_files(actor=actors.operator(), reason=options["reason"])
        lines = [
            f"{word} {name}"
            for word, names in (
                ("created", done.created),
                ("changed", done.changed),
                ("hidden", done.hidden),
            )
            for name in names
        ]
        lines.append(
            f"{len(done.created)} created, {len(done.changed)} changed, {len(done.hidden)} hidden, {done.unchanged} unchanged."
        )
        answer = {
            "created": done.created,
            "changed": done.changed,
            "hidden": done.hidden,
            "unchanged": done.unchanged,
            "namespaces": done.namespaces,
        }
        return answer, lines, 0

    def _export(self, options: dict[str, Any]) -> tuple[Any, list[str], int]:
        written = [
            str(path)
            for path in export.export(
                Path(settings.ORBIT_CONFIG_DIR), actor=actors.operator(), reason=options["reason"]
            )
        ]
        return {"written": written}, [f"wrote {path}" for path in written], 0


def _shown(value: Any) -> str:
    return "nothing" if value is ABSENT else json.dumps(value, ensure_ascii=False)
