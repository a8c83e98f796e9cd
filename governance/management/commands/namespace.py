"""``manage.py namespace create NAME``."""

from typing import Any

from django.core.management.base import CommandParser

from governance.access import actors
from governance.kernel.commands import OrbitCommand
from governance.namespaces import registry, status


class Command(OrbitCommand):
    help = "Makes namespaces, and shows how one stands."

    def add_arguments(self, parser: CommandParser) -> None:
        deeds = parser.add_subparsers(dest="deed", required=True)
        for deed, text in (
            ("create", "Make a namespace."),
            ("show", "Show how a namespace stands, with its newest stops and their certificates."),
        ):
            sub = deeds.add_parser(deed, help=text)
            sub.add_argument("name")
            sub.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        name, actor = options["name"], actors.operator()
        if options["deed"] == "create":
            registry.create(name, actor=actor)
        row = status.row_of(name, actor=actor)
        found = status.described(row)
        if options["json"]:
            self.print_json(
                {**found, "stops": status.told(status.history(row.pk))}
                if options["deed"] == "show"
                else found
            )
        elif options["deed"] == "create":
            self.say(f"namespace {name}: created, external id {found['external_id']}")
        else:
            for key, value in found.items():
                lines = (
                    _certified(value)
                    if key == "certificate" and value
                    else ["-" if value in (None, "") else str(value)]
                )
                self.say(
                    f"{key.replace('_', ' '):<15}{lines[0]}"
                    + "".join(f"\n{'':<15}{line}" for line in lines[1:])
                )


def _certified(certificate: dict[str, Any]) -> list[str]:
    """Return the certificate of a halt in words, a line for each attempt that it names."""
    head = (
        f"quiet at {certificate['quiet_at']}; {certificate['in_flight_count']} in flight at the command, of which "
        f"{certificate['started_after_command']} left after it"
    )
    return [
        head,
        *(
            f"{one['endpoint_key']} attempt {one['attempt']} of job {one['dispatch_job_id']}: {one['outcome']} at {one['ended_at']}"
            for one in certificate["in_flight"]
        ),
    ]
