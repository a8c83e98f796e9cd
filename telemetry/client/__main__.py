"""The client on the command line, for shells and CI: ``python -m telemetry.client``."""

import argparse
import sys
from collections.abc import Callable

from . import artifact, decision, error, flush, metric, reporter, violation, wrap
from .event import Event

#: Commands whose values are of any text, and the option that each has.
_VALUED = {"artifact": "", "metric": "", "error": "--stage", "decision": "", "violation": "--host"}
_NAME = f"python -m {__package__}"


def main(argv: list[str]) -> int:
    """Run a command; return its exit code."""
    given = _parser().parse_args(_with_values_apart(argv))
    command: Callable[[argparse.Namespace], int] = given.function
    return command(given)


def _with_values_apart(argv: list[str]) -> list[str]:
    """Put the values of an event behind ``--``: a message or a file may begin with a hyphen."""
    if argv[:1] == [] or argv[0] not in _VALUED or argv[1:] in (["-h"], ["--help"]):
        return argv
    option = _VALUED[argv[0]]
    options: list[str] = []
    values: list[str] = []
    rest = iter(argv[1:])
    for word in rest:
        if word == "--":
            values += rest
        elif option and word == option:
            options += [f"{option}={next(rest, '')}"]
        elif option and word.startswith(f"{option}="):
            options.append(word)
        else:
            values.append(word)
    return [argv[0], *options, "--", *values]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=_NAME, description="Reports to Orbit.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run a program and report it; returns its exit code")
    wrap.add_arguments(run)
    run.set_defaults(function=_run)

    item = commands.add_parser("flush", help="send what is kept on disk")
    item.add_argument("--timeout", type=float, default=60.0, help="seconds, 60 by default")
    item.set_defaults(function=_flush)

    item = commands.add_parser("artifact", help="report files")
    item.add_argument("path", nargs="+")
    item.set_defaults(function=lambda given: _each(artifact, given.path))

    item = commands.add_parser("metric", help="report a measured value")
    item.add_argument("name")
    item.add_argument("value")
    item.set_defaults(
        function=lambda given: _each(lambda value: metric(given.name, value), [given.value])
    )

    item = commands.add_parser("error", help="report an error")
    item.add_argument("message")
    item.add_argument("--stage")
    item.set_defaults(
        function=lambda given: _each(lambda text: error(text, stage=given.stage), [given.message])
    )

    item = commands.add_parser("decision", help="report what was decided")
    item.add_argument("text")
    item.set_defaults(function=lambda given: _each(decision, [given.text]))

    item = commands.add_parser("violation", help="report the violation of a policy")
    for name in ("file", "policy", "rule", "severity"):
        item.add_argument(name)
    item.add_argument("--host", default="")
    item.set_defaults(
        function=lambda given: _each(
            lambda file: violation(file, given.policy, given.rule, given.severity, given.host),
            [given.file],
        )
    )
    return parser


def _each(report: Callable[[str], object], items: list[str]) -> int:
    for item in items:
        report(item)
    return 0


def _flush(given: argparse.Namespace) -> int:
    if flush(given.timeout):
        return 0
    kept = sum(len(spool.paths()) for spool in reporter.get().spools)
    print(f"orbit telemetry: {kept} files are still kept.", file=sys.stderr)  # noqa: T201
    return 1


def _run(given: argparse.Namespace) -> int:
    try:
        wrapped = wrap.from_arguments(vars(given))
    except ValueError as problem:
        print(f"{_NAME}: {problem}", file=sys.stderr)  # noqa: T201
        return 2
    target = reporter.get()

    def sink(events: list[Event]) -> None:
        for item in events:
            target.emit(item)

    return wrap.run(wrapped, sink, tick=target.sender.poke)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
