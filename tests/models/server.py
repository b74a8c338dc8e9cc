"""A web server on loopback whose manners a test decides."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """One file, and how it is served. `break_after` lists, per answer, after how many bytes the
    connection is dropped (None: not at all; past the end of the list: not at all)."""

    body: bytes
    etag: str | None = '"1"'
    ranges: bool = True
    break_after: list[int | None] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    location: str | None = None
    url: str = ""
    asked: list[str | None] = field(default_factory=list)
    """The Range header of each request so far."""


@contextmanager
def served(site: Site) -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers["Range"]
            site.asked.append(wanted)
            if site.statuses:
                self.send_error(site.statuses.pop(0))
                return
            if site.location is not None:
                self.send_response(302)
                self.send_header("Location", site.location)
                self.end_headers()
                return
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
            if not site.ranges or self.headers["If-Range"] != site.etag:
                start = 0
            if start >= len(site.body) and start:
                self.send_error(416)
                return
            body = site.body[start:]
            self.send_response(206 if start else 200)
            if start:
                total = len(site.body)
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            if site.etag:
                self.send_header("ETag", site.etag)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            limit = site.break_after.pop(0) if site.break_after else None
            self.wfile.write(body[:limit])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}/model.zip"
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
