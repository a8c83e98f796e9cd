"""An export holds all that its hashes cover, so that it can be checked without Orbit."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from django.core.management import CommandError, call_command
from django.utils import timezone

from governance import audit
from governance.audit import export, head
from governance.audit.actions import Action
from governance.audit.head import HeadMissing
from governance.audit.search import Search
from governance.models import AuditTrailEntry

pytestmark = pytest.mark.django_db


def do(namespace: str | None = "eu", **fields: Any) -> None:
    with audit.transaction():
        audit.record(Action.CYCLE_CANCELLED, actor="ann", namespace=namespace, **fields)


def test_an_export_is_a_chain_that_ends_in_the_signed_head() -> None:
    for number in range(3):
        do(after={"n": number, "text": "ä\u2028", "share": 0.1, "big": 2**70})
    *lines, last = [json.loads(line) for line in export.lines(Search().entries())]
    previous = "0" * 64
    for line in lines:
        digest = line.pop("hash")
        assert line["previous_hash"] == previous
        assert hashlib.sha256(rfc8785.dumps(line)).hexdigest() == digest
        previous = digest
    assert (last["head"]["sequence"], last["head"]["hash"]) == (3, previous)
    assert last["head"]["signature"].startswith("hmac-sha256:")


def test_an_entry_that_is_written_during_an_export_is_not_behind_its_head(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    do()
    real = head.current

    def read_just_before_another_entry() -> head.Head:
        end = real()
        do()
        return end

    monkeypatch.setattr(head, "current", read_just_before_another_entry)
    lines = [json.loads(line) for line in export.lines(Search().entries())]
    assert [line.get("id", "head") for line in lines] == [1, "head"]
    assert lines[-1]["head"]["sequence"] == 1


def test_a_confined_export_has_no_head_and_a_cut_one_says_so() -> None:
    for namespace in ("eu", "us", None, "eu"):
        do(namespace)
    lines = [json.loads(line) for line in export.lines(Search().entries({"eu"}), with_head=False)]
    assert [line["id"] for line in lines] == [1, 4]
    lines = [json.loads(line) for line in export.lines(Search().entries(), limit=2)]
    assert [next(iter(line)) for line in lines[2:]] == ["cut", "head"]
    assert [line["id"] for line in lines[:2]] == [1, 2]


def test_the_command_exports_to_a_file_and_verify_reads_it(tmp_path: Path, capsys: Any) -> None:
    do("eu")
    between = timezone.now()
    do("us")
    file = tmp_path / "trail.jsonl"
    call_command("audit", "export", str(file))
    assert [path.name for path in tmp_path.iterdir()] == ["trail.jsonl"]
    assert len(file.read_text().splitlines()) == 3
    call_command("audit", "export", "-", "--namespace", "us", "--from", between.isoformat())
    assert [json.loads(line).get("id") for line in capsys.readouterr().out.splitlines()] == [
        2,
        None,
    ]
    call_command("audit", "export", "-", "--to", between.isoformat())
    assert [json.loads(line).get("id") for line in capsys.readouterr().out.splitlines()] == [
        1,
        None,
    ]
    call_command("audit", "verify", "--head", str(file), "--json")
    assert json.loads(capsys.readouterr().out) == {
        "intact": True,
        "entries": 2,
        "head": AuditTrailEntry.objects.get(pk=2).hash,
    }
    call_command("audit", "verify")
    assert capsys.readouterr().out.startswith("intact: 2 entries")


def test_verify_names_what_is_broken_and_exits_with_1(tmp_path: Path, capsys: Any) -> None:
    do()
    later = head.Head(2, "a" * 64, "2026-01-31T06:00:00+00:00", "i")
    file = tmp_path / "head.json"
    file.write_text(json.dumps({"head": later.to_dict()}))
    for words in ([], ["--json"]):
        with pytest.raises(SystemExit) as exc_info:
            call_command("audit", "verify", "--head", str(file), *words)
        assert exc_info.value.code == 1
    plain, document = capsys.readouterr().out.splitlines()
    assert plain == (
        "broken: The audit trail's tail is cut off: it ends at entry 1, "
        "the head signed at 2026-01-31T06:00:00+00:00 names entry 2."
    )
    assert json.loads(document) == {
        "intact": False,
        "first_broken": 2,
        "problem": plain.removeprefix("broken: "),
    }


def test_a_wrong_file_or_time_is_refused_in_words(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(HeadMissing, match="can't be read"):
            call_command("audit", "verify", "--head", str(path))
    with pytest.raises(CommandError, match="can't be written"):
        call_command("audit", "export", str(tmp_path / "no" / "folder"))
    with pytest.raises(CommandError, match="--from: must be a time"):
        call_command("audit", "export", "-", "--from", "yesterday")
