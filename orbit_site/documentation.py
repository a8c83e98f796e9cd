"""The documents that are made from code: `make docs` writes them, a test compares them.

configuration.md and .env.example come from the environment variables, states.md from the state
machines, the checklist in deploy.md from the checks, openapi.json and permissions.md from the REST
resources and the console. Their prose is in templates/docs/.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from governance.kernel.machines import Machine
from governance.states import MODE, OPERATION
from orbit import states
from orbit_site import checks, contract, permissions
from orbit_site.settings import environment, variables

CHECKLIST = "<!-- made from the code by `make docs` -->"
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


def render(name: str, **parts: str) -> str:
    """Return the template ``name`` with each ``{{part}}`` replaced."""
    text = (environment.BASE_DIR / "templates" / "docs" / name).read_text()
    for part, value in parts.items():
        text = text.replace(f"{{{{{part}}}}}", value)
    return text


def configuration() -> str:
    """Return docs/configuration.md."""
    rows = "\n".join(
        f"| `{item.name}` | {_default(item)} | {item.doc} |" for item in variables.TABLE
    )
    return render("configuration.md", rows=rows)


def _default(item: variables.Variable) -> str:
    if item.name == "ORBIT_LOG_FORMAT":
        return "`text`, in production `json`"
    if item.name == "ORBIT_BIND":
        return "`127.0.0.1`, in production `0.0.0.0`"
    return f"`{item.default}`" if item.default else "empty"


def example() -> str:
    """Return .env.example: every variable, commented out, with its default."""
    parts = ["# Copy to .env and change what you need. See docs/configuration.md.\n"]
    for item in variables.TABLE:
        default = {"ORBIT_LOG_FORMAT": "text", "ORBIT_BIND": "127.0.0.1"}.get(
            item.name, item.default
        )
        parts.append(f"# {item.doc}\n#{item.name}={default}\n")
    return "\n".join(parts)


def diagrams() -> str:
    """Return docs/states.md: a diagram of every state machine."""
    parts = [
        "# States\n\nThe moves of each state machine, drawn from the apps' `states.py` by "
        "`make docs`. Final states have no move.\n"
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


def permissions_page() -> str:
    """Return docs/permissions.md."""
    return render("permissions.md", **permissions.page_parts())


def with_checklist(page: str) -> str:
    """Return docs/deploy.md with its checklist renewed; the rest is written by hand."""
    before, begin, rest = page.partition(CHECKLIST)
    _, end, after = rest.partition("<!-- end -->")
    return f"{before}{begin}\n{checks.checklist()}\n{end}{after}"


def documents(project: Path) -> Mapping[Path, str]:
    """Return each document that is made from code, by its path."""
    deploy = project / "docs" / "deploy.md"
    return {
        project / "docs" / "configuration.md": configuration(),
        project / "docs" / "states.md": diagrams(),
        project / ".env.example": example(),
        deploy: with_checklist(deploy.read_text()),
        project / "docs" / "openapi.json": contract.as_file(),
        project / "docs" / "permissions.md": permissions_page(),
    }


def main() -> None:
    """Write all documents."""
    for path, text in documents(environment.BASE_DIR).items():
        path.write_text(text)
