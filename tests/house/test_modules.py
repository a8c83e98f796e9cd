"""Modules stay small, have telling names, and don't name this machine."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
APPS = ("orbit_site", "advisory", "orbit", "telemetry", "governance")
FORBIDDEN_NAMES = {"utils", "helpers", "common", "services", "selectors", "misc"}


def modules(*roots: str) -> list[Path]:
    return [
        path
        for root in roots
        for path in sorted((PROJECT / root).rglob("*.py"))
        if "migrations" not in path.parts
    ]


def test_no_test_module_is_longer_than_650_lines() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in modules("tests", "benchmarks")}
    assert {str(path): lines for path, lines in lengths.items() if lines > 650} == {}


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [
        str(path.relative_to(PROJECT)) for path in modules(*APPS) if path.stem in FORBIDDEN_NAMES
    ] == []


def test_only_the_table_of_variables_reads_the_environment() -> None:
    readers = [
        path
        for path in modules("advisory", "orbit", "telemetry", "governance")
        # The client runs in the scripts of others.
        if "telemetry/client/" not in str(path)
        and ("os.environ" in path.read_text() or "getenv" in path.read_text())
    ]
    assert readers == []


TEXTS = {
    ".conf",
    ".css",
    ".html",
    ".in",
    ".js",
    ".json",
    ".md",
    ".py",
    ".service",
    ".sql",
    ".toml",
    ".txt",
    ".yaml",
}


def test_no_folder_of_this_machine_is_named() -> None:
    folders = ["/" + "work/", "/" + "farm/"]
    # Without var/: databases come and go there while the test reads.
    roots = [
        path
        for path in PROJECT.iterdir()
        if path.name not in {".venv", "var", ".git", "node_modules"}
    ]
    files = [path for root in roots for path in ([root] if root.is_file() else root.rglob("*"))]
    assert [
        path
        for path in files
        if path.suffix in TEXTS
        and path.is_file()
        and any(folder in path.read_text(errors="ignore") for folder in folders)
    ] == []
