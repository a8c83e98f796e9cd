"""The receiver of all deliveries: ``python -m benchmarks.sink`` prints its port.

It counts requests and repeated keys: GET /stats, POST /reset.
"""

import asyncio
import json
import time

TOKEN = "bench-token-0123456789"
_AUTHORIZATION = b"Bearer " + TOKEN.encode()
_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
_DENIED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"


class Counts:
    """Counts since the last reset."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.requests = self.denied = self.doubled = self.bytes = 0
        self.keys: set[bytes] = set()
        self.first: dict[str, float] = {}

    def take(self, headers: dict[bytes, bytes], size: int) -> bytes:
        if headers.get(b"authorization") != _AUTHORIZATION:
            self.denied += 1
            return _DENIED
        self.requests += 1
        self.bytes += size
        key = headers.get(b"idempotency-key", b"")
        self.doubled += key in self.keys
        self.keys.add(key)
        if cycle := headers.get(b"x-orbit-cycle"):
            self.first.setdefault(cycle.decode(), time.time())
        return _OK


counts = Counts()


class Receiver(asyncio.Protocol):
    """One connection; a request may come in pieces."""

    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            line, *rest = self._buffer[:end].split(b"\r\n")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (header.partition(b":") for header in rest)
            }
            size = int(headers.get(b"content-length", 0))
            if len(self._buffer) < end + 4 + size:
                return
            self._buffer = self._buffer[end + 4 + size :]
            self._transport.write(_answer(line, headers, size))


def _answer(line: bytes, headers: dict[bytes, bytes], size: int) -> bytes:
    if line.startswith(b"POST /deliver"):
        return counts.take(headers, size)
    if line.startswith(b"POST /reset"):
        counts.reset()
    document = {
        "requests": counts.requests,
        "denied": counts.denied,
        "doubled": counts.doubled,
        "bytes": counts.bytes,
        "keys": len(counts.keys),
        "first": counts.first,
    }
    body = json.dumps(document).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        len(body),
        body,
    )


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
