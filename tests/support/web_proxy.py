"""A reverse proxy that ends TLS on a port of its own, as nginx would."""

import http.client
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

_OWN = {"host", "connection", "x-forwarded-proto", "x-forwarded-for", "keep-alive"}
_NOT_PASSED_ON = {"connection", "transfer-encoding", "keep-alive"}


@contextmanager
def web_proxy(
    upstream: tuple[str, int], tls: ssl.SSLContext, headers: Mapping[str, str]
) -> Iterator[int]:
    """Forward to ``upstream``; yield the port. ``headers`` replace those of the client.

    ``{host}`` in a header is the client's Host without its port, ``{http_host}`` with it.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self) -> None:
            http_host = self.headers.get("Host", "")
            sent = {name: text for name, text in self.headers.items() if name.lower() not in _OWN}
            host = http_host.partition(":")[0]
            for name, text in headers.items():
                sent[name] = text.format(host=host, http_host=http_host)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            connection = http.client.HTTPConnection(*upstream, timeout=60)
            try:
                connection.request(self.command, self.path, body, sent)
                answer = connection.getresponse()
                content = answer.read()
                self.send_response_only(answer.status)
                for name, text in answer.getheaders():
                    if name.lower() not in _NOT_PASSED_ON | {"content-length"}:
                        self.send_header(name, text)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            finally:
                connection.close()

        do_GET = do_POST = do_HEAD = forward

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
