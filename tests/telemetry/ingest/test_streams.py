"""A stream may be slow and last for weeks."""

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from telemetry.ingest import file, stream
from telemetry.ingest.file import Source
from telemetry.ingest.shape import Sender
from telemetry.ingest.times import Window
from tests.support.events import event, ndjson

NOW = datetime.now(UTC)


def sender() -> Sender:
    return Sender(Window.at(NOW))


def counts(batches: Iterator[stream.Batch]) -> list[tuple[int, int]]:
    return [(len(part.lines), len(part.rejected)) for part in batches]


@pytest.fixture
def pipe() -> Iterator[tuple[Any, Any]]:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as out, os.fdopen(writing, "wb", buffering=0) as into:
        yield out, into


@pytest.mark.parametrize("is_packed", [False, True])
def test_what_a_slow_pipe_brought_is_a_batch(
    pipe: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch, is_packed: bool
) -> None:
    monkeypatch.setattr(file, "_SLOW_SECONDS", 0.05)
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)

    def packed(data: bytes) -> bytes:
        if not is_packed:
            return data
        return packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)

    out, into = pipe
    into.write(packed(ndjson([event(), event()]) + b"rubbish\n" + ndjson([event()])[:-9]))
    batches = stream.batches(Source(out).chunks(), sender_now=sender)
    assert (part := next(batches)) and (len(part.lines), len(part.rejected)) == (2, 1)
    into.write(packed(b"\n" + ndjson([event()])))
    assert (part := next(batches)) and (len(part.lines), len(part.rejected)) == (1, 1)
    assert part.rejected[0].index == 3
    into.write(packer.flush() if is_packed else b"")
    into.close()
    assert counts(batches) == []


def test_a_pipe_that_brings_single_bytes_is_told_by_its_first_two(pipe: tuple[Any, Any]) -> None:
    out, into = pipe
    data = gzip.compress(ndjson([event()]))
    into.write(data[:1])
    chunks = Source(out).chunks  # reads when it is asked
    into.write(data[1:])
    into.close()
    assert counts(stream.batches(chunks(), sender_now=sender)) == [(1, 0)]
    for short in (b"\x1f", b"x"):
        assert counts(stream.batches(Source(io.BytesIO(short)).chunks(), sender_now=sender)) == [
            (0, 1)
        ]


def test_the_window_goes_on_with_the_clock() -> None:
    later = NOW + timedelta(days=9)
    windows = iter([NOW, later, later])
    line = ndjson([event(occurred_at=later.isoformat())])
    batches = stream.batches([line, b"", line], sender_now=lambda: Sender(Window.at(next(windows))))
    assert counts(batches) == [(0, 1), (1, 0)]
