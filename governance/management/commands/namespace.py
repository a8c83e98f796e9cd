"""``manage.py namespace create|show NAME``."""

from typing import Any

from django.core.management.base import CommandParser

from governance.access import actors
from governance.kernel.commands import OrbitCommand
from governance.namespaces import registry, status, stops


class Command(OrbitCommand):
    help = "Create a namespace, or show its status."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        for verb, text in (
            ("create", "Create a namespace."),
            ("show", "Show the status of a namespace and its newest stops with certificates."),
        ):
            sub = verbs.add_parser(verb, help=text)
            sub.add_argument("name")
            sub.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        name, actor = options["name"], actors.operator()
        if options["verb"] == "create":
            registry.create(name, actor=actor)
        row = status.row_of(name, actor=actor)
        document = {
            "name": row.name,
            "external_id": row.external_id,
            "created_at": row.created_at,
            **status.of(row).to_dict(),
        }
        if options["json"]:
            history = {"stops": [stops.to_dict(stop) for stop in status.history(row.pk)]}
            self.print_json(document | history if options["verb"] == "show" else document)
        elif options["verb"] == "create":
            self.say(f"namespace {name}: created, external id {row.external_id}")
        else:
            for key, value in document.items():
                name = key.replace("_", " ")
                for line in _lines(key, value):
                    self.say(f"{name:<15}{line}")
                    name = ""


def _lines(key: str, value: Any) -> list[str]:
    if key == "certificate" and value:
        return _certificate_lines(value)
    return ["-" if value in (None, "") else str(value)]


def _certificate_lines(certificate: dict[str, Any]) -> list[str]:
    return [
        f"quiet since {certificate['quiet_at']}; {certificate['in_flight_count']} deliveries were "
        f"in flight when halted, {certificate['started_after_command']} started later",
        *(
            f"{attempt['endpoint_key']} attempt {attempt['attempt']} of job "
            f"{attempt['dispatch_job_id']}: {attempt['outcome']} at {attempt['ended_at']}"
            for attempt in certificate["in_flight"]
        ),
    ]
