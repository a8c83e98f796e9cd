"""A receiver that answers badly: ``python -m benchmarks.hostile`` prints its port.

/endless never stops, /bomb is 200 MB of gzip, /drip is slow.
"""

import contextlib
import gzip
import io
import socket
import sys
import threading
import time


def bomb(megabytes: int = 200) -> bytes:
    """Return a gzip of ``megabytes`` of zeros."""
    # Compress piece by piece: the zeros never exist as a whole.
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb") as stream:
        for _ in range(megabytes):
            stream.write(bytes(1_000_000))
    return packed.getvalue()


def _serve(sock: socket.socket, packed: bytes) -> None:
    with sock, contextlib.suppress(OSError):
        while True:
            head = b""
            while b"\r\n\r\n" not in head:
                piece = sock.recv(65536)
                if not piece:
                    return
                head += piece
            if b"/bomb" in head:
                sock.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
                    % len(packed)
                    + packed
                )
                return
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5000000000\r\n\r\n")
            drips = b"/drip" in head
            while True:
                sock.sendall(b"z" if drips else b"z" * 65536)
                time.sleep(0.05 if drips else 0)


def main() -> None:
    packed = bomb()
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as server:
        print(server.getsockname()[1], flush=True)
        while True:
            sock, _ = server.accept()
            threading.Thread(target=_serve, args=(sock, packed), daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
