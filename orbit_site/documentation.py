"""Documents made from code: ``make docs`` writes them, a test compares them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from governance.audit.actions import Action
from governance.kernel.machines import Machine
from governance.states import MODE, OPERATION
from orbit import states
from orbit_site import checks, contract, permissions
from orbit_site.settings import environment, variables

#: The generated part of a page is between these lines; the rest is written by hand.
BEGIN, END = "<!-- made from the code by `make docs` -->", "<!-- end -->"
MACHINES: Mapping[str, Machine[Any]] = {
    "Cycle": states.CYCLE,
    "Tier": states.TIER,
    "Dispatch job": states.JOB,
    "Delivery attempt": states.ATTEMPT,
    "Dead letter": states.LETTER,
    "Tick": states.TICK,
    "Namespace": MODE,
    "Operation run": OPERATION,
}


def variables_table() -> str:
    """Return the table of docs/configuration.md."""
    rows = [f"| `{item.name}` | {_default(item)} | {item.doc} |" for item in variables.TABLE]
    return "\n".join(["| variable | default | what it does |", "|---|---|---|", *rows])


def _default(item: variables.Variable) -> str:
    if item.name == "ORBIT_LOG_FORMAT":
        return "`text`, in production `json`"
    if item.name == "ORBIT_BIND":
        return "`127.0.0.1`, in production `0.0.0.0`"
    return f"`{item.default}`" if item.default else "empty"


def example() -> str:
    """Return .env.example."""
    parts = ["# Copy to .env and change what you need. See docs/configuration.md.\n"]
    for item in variables.TABLE:
        default = {"ORBIT_LOG_FORMAT": "text", "ORBIT_BIND": "127.0.0.1"}.get(
            item.name, item.default
        )
        parts.append(f"# {item.doc}\n#{item.name}={default}\n")
    return "\n".join(parts)


def diagrams() -> str:
    """Return docs/states.md."""
    parts = [
        "# States\n\nThe allowed moves, drawn from the apps' `states.py` by `make docs`.\n"
        "A state that nothing leaves is final.\n"
    ]
    for title, machine in MACHINES.items():
        moves = [
            f"    {source} --> {target}"
            for source in machine.states
            for target in machine.states
            if machine.allows(source, target)
        ]
        drawing = "\n".join(moves)
        final = ", ".join(sorted(machine.final)) or "none"
        parts.append(
            f"## {title}\n\n```mermaid\nstateDiagram-v2\n{drawing}\n```\n\nFinal: {final}.\n"
        )
    return "\n".join(parts)


def audit_actions() -> str:
    """Return docs/audit.md."""
    rows = [f"| `{action}` | `{action.object_type}` | {action.label} |" for action in Action]
    return "\n".join(
        [
            "# Audit actions\n",
            "Made from the code by `make docs`.\n",
            "Each entry of the audit trail names its action and the type of its object. "
            "You can search\nby both. New actions may be added, but an action is never renamed.\n",
            "| action | object type | meaning |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def with_part(page: str, part: str) -> str:
    """Return ``page`` with ``part`` between its markers."""
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{part}\n{END}{after}"


def documents(project: Path) -> Mapping[Path, str]:
    """Return the text of each generated document by its path."""
    configuration, deploy = project / "docs" / "configuration.md", project / "docs" / "deploy.md"
    return {
        configuration: with_part(configuration.read_text(), variables_table()),
        project / "docs" / "states.md": diagrams(),
        project / ".env.example": example(),
        deploy: with_part(deploy.read_text(), checks.checklist()),
        project / "docs" / "openapi.json": contract.as_file(),
        project / "docs" / "permissions.md": permissions.as_page(),
        project / "docs" / "audit.md": audit_actions(),
    }


def main() -> None:
    """Write all documents."""
    for path, text in documents(environment.BASE_DIR).items():
        path.write_text(text)
