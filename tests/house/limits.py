"""The limits of the house style: ``python -m tests.house.limits`` lists offenders."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PRODUCT = ("governance", "telemetry", "orbit", "orbit_site", "advisory", "orbit_worker")
MAX_MODULE_LINES = 400
MAX_MODULE_LINES_P90 = 250
MAX_FUNCTION_LINES = 60

#: Modules that may import inside a function, each with the reason.
LATE_IMPORTS = {
    "orbit_site/processes/entry.py": "`up` and `health` must run without Django",
    "orbit_site/processes/health.py": "only the check of a cluster needs psycopg",
    "telemetry/client/sender.py": "urllib takes longer than many a script; its thread loads it",
}
#: The first release's private words.
WORDS = (
    *("births", "deed", "deeds", "tally", "flying", "strays", "orphans", "lineage", "takeover"),
    *("keeper", "keepers", "lane", "lanes", "ear", "bell", "lifeline", "judge", "standing"),
    *("bring_home", "absorb", "bury", "buried", "sign_of_life", "sign_off", "clear_away"),
    *("make_room", "refuse_unseen", "told", "whoever", "somebody", "nobody", "people", "person"),
    *("sign of life", "signs of life", "such as were"),
)
#: Names that say nothing about their value.
VAGUE_NAMES = {"found", "wanted", "known", "told", "said", "asked", "sent", "shown", "theirs"}
#: Where a word may stay, each with the reason.
ALLOWED = {
    ("takeover", "orbit/"): "a column of orbit_cyclerun and what reads it",
    ("takeover", "tests/golden/"): "the column in statements",
    ("takeover", "docs/openapi.json"): "a field of the contract",
    ("takeover", "tests/support/large_database.py"): "the column",
    ("takeover", "tests/orbit/cycles/test_overview.py"): "the column",
    ("takeover", "tests/orbit/retention/"): "the column",
    ("takeover", "tests/support/old_rows.py"): "the column",
    ("person", "orbit/schedules/rows.py"): "a key of stored rows",
    ("nobody", "orbit_site/processes/pg_"): "the account of the operating system",
    ("nobody", "tests/site/processes/test_postgres.py"): "the account of the operating system",
    ("standing", "governance/api/namespaces.py"): "a title of the contract",
    ("told", "governance/"): "a column of governance_loginattempt",
    ("told", "tests/golden/sql/governance.access"): "the column in statements",
}
#: Texts that are about the words themselves, or that are never rewritten.
SKIPPED = (
    "tests/house/",
    "docs/glossary.md",
    "CHANGELOG.md",
    "LICENSE",
    "requirements",
)
_WORD = re.compile(
    r"(?<![A-Za-z_])(" + "|".join(re.escape(word) for word in WORDS) + r")(?![A-Za-z_])", re.I
)


def main() -> int:
    """Print each offender; return 1 if there is one."""
    offenders = [*modules(), *functions(), *late_imports(), *words(), *vague_names()]
    for offender in offenders:
        print(offender)
    print(f"house limits: {len(offenders)} offenders" if offenders else "house limits: kept")
    return 1 if offenders else 0


def modules() -> Iterator[str]:
    """Yield modules that are too long."""
    lengths = {path: len((PROJECT / path).read_text().splitlines()) for path in _product()}
    for path, lines in lengths.items():
        if lines > MAX_MODULE_LINES:
            yield f"{path}: {lines} lines, at most {MAX_MODULE_LINES}"
    sizes = sorted(lines for lines in lengths.values() if lines > 1)
    p90 = sizes[int(len(sizes) * 0.9)]
    if p90 > MAX_MODULE_LINES_P90:
        yield f"p90 of module lengths is {p90} lines, at most {MAX_MODULE_LINES_P90}"


def functions() -> Iterator[str]:
    """Yield functions that are too long."""
    for path in _product():
        for node in ast.walk(ast.parse((PROJECT / path).read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > MAX_FUNCTION_LINES:
                    yield (
                        f"{path}:{node.lineno}: {node.name} has {lines} lines, "
                        f"at most {MAX_FUNCTION_LINES}"
                    )


def late_imports() -> Iterator[str]:
    """Yield imports inside functions."""
    for path in _product():
        is_exempt = path.endswith("apps.py") or "/management/commands/" in path
        if is_exempt or path in LATE_IMPORTS:
            continue
        for node in ast.walk(ast.parse((PROJECT / path).read_text())):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for child in ast.walk(node):
                if isinstance(child, ast.Import | ast.ImportFrom):
                    yield f"{path}:{child.lineno}: import inside {node.name}"


def words() -> Iterator[str]:
    """Yield lines with a private word."""
    for path in _tracked("*.py", "*.sql", "*.html", "*.md"):
        if path.startswith(SKIPPED) or "/migrations/" in path:
            continue
        for number, line in enumerate((PROJECT / path).read_text().splitlines(), 1):
            for match in _WORD.finditer(line):
                if not _allowed(match[1].lower(), path):
                    yield f"{path}:{number}: the word {match[1]!r}"


def vague_names() -> Iterator[str]:
    """Yield names that say nothing about the value."""
    for path in _product():
        for node in ast.walk(ast.parse((PROJECT / path).read_text())):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                name = node.id
            elif isinstance(node, ast.arg):
                name = node.arg
            else:
                continue
            if name in VAGUE_NAMES and not _allowed(name, path):
                yield f"{path}:{node.lineno}: the name {name!r}"


def _allowed(word: str, path: str) -> bool:
    return any(word == other and path.startswith(prefix) for other, prefix in ALLOWED)


def _product() -> list[str]:
    return [
        path
        for path in _tracked("*.py")
        if path.split("/")[0] in PRODUCT and "/migrations/" not in path
    ]


def _tracked(*patterns: str) -> list[str]:
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [path for path in listing.stdout.splitlines() if (PROJECT / path).exists()]


if __name__ == "__main__":
    sys.exit(main())
