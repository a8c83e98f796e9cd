"""Documents that are made from code: ``make docs`` writes them, a test compares them.

docs/configuration.md and .env.example come from the table of variables, docs/states.md from the state machines, the checklist in
docs/deploy.md from the checks, docs/openapi.json and docs/permissions.md from the resources and the console, so that none can say what the code doesn't do.
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

CONFIGURATION = """# Configuration

Everything is set by environment variables, read once at start. A `.env` file in the project's folder is read too; the real environment
wins. A mistyped boolean, number or name is a start error that names the variable. This page is made from the code by `make docs`.

| variable | default | what it does |
|---|---|---|
{rows}

In production (`ORBIT_ENV=production`) a missing `ORBIT_SECRET_KEY`, `ORBIT_ENCRYPTION_KEYS`, `ORBIT_ALLOWED_HOSTS` or `DATABASE_URL` is a
start error. In development a missing secret key is made once and kept in `var/secret-key`, readable by its owner alone; the encryption key
is derived from it.

## Endpoints

`ORBIT_DISPATCH_ENDPOINTS` is a JSON array. An endpoint has a `key` that run profiles name in `distribution_targets`, a `url`, a `method`
and a `token`, which is sent as `Authorization: Bearer <token>`:

```json
[{{"key": "default-endpoint", "url": "https://aurora.example.com/webhook", "method": "POST", "token": "..."}}]
```

Optional: `headers` (further request headers), `signing_secret` (`whsec_...`: requests are signed by the Standard Webhooks specification),
`connect_timeout` (5 s), `read_timeout` (10 s), `total_timeout` (20 s, at most 120), `permanent_statuses` (`[410]`: answers that are not tried
again), `ca_bundle` (a file of certificates to trust). `config/schemas/endpoints.schema.json` has every key with its bounds. An endpoint
whose address the rules refuse is a start error that names the endpoint, the address and the setting to change.

By default requests go to public addresses over https only. `ORBIT_DISPATCH_ALLOWED_HOSTS` adds names, addresses or networks, for which plain
http is allowed too, such as `127.0.0.1`, `aurora.internal` or `10.1.0.0/16`.

## Profiles and run profiles

`profiles.json` and `runProfiles.json` in `ORBIT_CONFIG_DIR` are checked against `config/schemas/` at every start; an invalid file stops the
start with every error, each with file and JSON pointer. The database is what runs: the files are loaded into an empty database, and
again whenever they changed and nobody edited the database meanwhile. Where both were changed, the database stands, and a banner and the
console's page "Config drift" say so.

| command | REST | does |
|---|---|---|
| `config check` | | checks files, endpoints and addresses: every error with file and pointer |
| `config diff` | `GET /config/diff` | shows where files and database differ, with both values |
| `config reload --reason R` | `POST /config/reload` | makes the database what the files say, all or nothing; refused while a cycle is active |
| `config export --reason R` | | writes the database into the files; the same content gives the same bytes |
| | `PUT /profiles/ID`, `PUT /run-profiles/ID` | edits one document; the console has a form for it |

A profile and a run profile hold at most 256 KiB each, a file 10 MiB. Names and tags hold no control, direction or invisible characters; a `cron` must fire some
day; a `time_zone` is an IANA name; whole numbers beyond 2^53 are written as text. An unknown key is an error, not a comment.
"""


def configuration() -> str:
    """Return docs/configuration.md."""
    rows = "\n".join(
        f"| `{item.name}` | {_default(item)} | {item.doc} |" for item in variables.TABLE
    )
    return CONFIGURATION.format(rows=rows)


def _default(item: variables.Variable) -> str:
    if item.name == "ORBIT_LOG_FORMAT":
        return "`text`, in production `json`"
    if item.name == "ORBIT_BIND":
        return "`127.0.0.1`, in production `0.0.0.0`"
    return f"`{item.default}`" if item.default else "empty"


def example() -> str:
    """Return .env.example: every variable with what it does, commented out at its default."""
    parts = ["# Copy to .env and change what you need. docs/configuration.md has the details.\n"]
    for item in variables.TABLE:
        default = {"ORBIT_LOG_FORMAT": "text", "ORBIT_BIND": "127.0.0.1"}.get(
            item.name, item.default
        )
        parts.append(f"# {item.doc}\n#{item.name}={default}\n")
    return "\n".join(parts)


def diagrams() -> str:
    """Return docs/states.md: every state machine, drawn."""
    parts = [
        "# States\n\nWhich moves exist, drawn from the apps' `states.py` by `make docs`. A state that nothing leaves is final.\n"
    ]
    for title, machine in MACHINES.items():
        moves = [
            f"    {source} --> {target}"
            for source in machine.states
            for target in machine.states
            if machine.allows(source, target)
        ]
        drawing = "\n".join(moves)
        parts.append(
            f"## {title}\n\n```mermaid\nstateDiagram-v2\n{drawing}\n```\n\nFinal: {', '.join(sorted(machine.final)) or 'none'}.\n"
        )
    return "\n".join(parts)


def with_checklist(page: str) -> str:
    """Return docs/deploy.md with its checklist as the checks have it; the rest of it is written by hand."""
    before, begin, rest = page.partition(CHECKLIST)
    _, end, after = rest.partition("<!-- end -->")
    return f"{before}{begin}\n{checks.checklist()}\n{end}{after}"


def documents(project: Path) -> Mapping[Path, str]:
    """Return every document that is made from code, by its path."""
    deploy = project / "docs" / "deploy.md"
    return {
        project / "docs" / "configuration.md": configuration(),
        project / "docs" / "states.md": diagrams(),
        project / ".env.example": example(),
        deploy: with_checklist(deploy.read_text()),
        project / "docs" / "openapi.json": contract.as_file(),
        project / "docs" / "permissions.md": permissions.as_page(),
    }


def main() -> None:
    """Write them all."""
    for path, text in documents(environment.BASE_DIR).items():
        path.write_text(text)
