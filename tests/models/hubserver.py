"""A model hub on loopback: as much of the Hugging Face hub as a checkpoint's download sees."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Request:
    """What was asked: `range` and `authorization` are headers."""

    method: str
    path: str
    host: str
    agent: str
    range: str | None
    authorization: str | None


@dataclass
class Hub:
    """One repository, `OWNER/NAME`, and how badly it is served.

    Files over `lfs_from` bytes are kept as the real hub keeps big ones: with a SHA-256, behind a
    redirect to another host whose address works once.
    """

    files: dict[str, bytes]
    id: str = "maker/model"
    commit: str = COMMIT
    revisions: tuple[str, ...] = ("main",)
    older: tuple[str, ...] = ()
    """Commits with the same files."""
    card: Mapping[str, Any] | None = field(default_factory=lambda: {"license": "mit"})
    tags: tuple[str, ...] = ()
    lfs_from: int = 100
    checksums: bool = True
    sizes: dict[str, int] = field(default_factory=dict)
    """Sizes that are told wrongly."""
    breaks: dict[str, list[int]] = field(default_factory=dict)
    """Per answer for a file: after how many bytes the connection is dropped."""
    hold: dict[str, int] = field(default_factory=dict)
    """Files of which one answer stops after so many bytes, until `released`."""
    held: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    corrupt: dict[str, int] = field(default_factory=dict)
    """How many answers for a file have a wrong byte."""
    ranges: bool = True
    api_statuses: list[int] = field(default_factory=list)
    file_statuses: list[int] = field(default_factory=list)
    error_code: str | None = None
    body: bytes | None = None
    """Instead of what a hub would tell."""
    url: str = ""
    asked: list[Request] = field(default_factory=list)

    def downloads(self, name: str) -> list[str | None]:
        """The Range header of each answer that carried bytes of `name`."""
        big = len(self.files[name]) >= self.lfs_from
        end = f"/cdn/{_sha256(self.files[name])}" if big else f"/{name}"
        return [request.range for request in self.asked if request.path.split("?")[0].endswith(end)]

    def info(self) -> dict[str, Any]:
        """What the API tells of the repository."""
        return {
            "id": self.id,
            "sha": self.commit,
            "tags": list(self.tags),
            "gated": False,
            "siblings": [self._sibling(name) for name in self.files],
        } | ({"cardData": dict(self.card)} if self.card is not None else {})

    def _sibling(self, name: str) -> dict[str, Any]:
        content = self.files[name]
        size = self.sizes.get(name, len(content))
        told: dict[str, Any] = {"rfilename": name, "size": size}
        if not self.checksums:
            return told
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        told["blobId"] = blob
        if len(content) >= self.lfs_from:
            told["lfs"] = {"size": size, "sha256": _sha256(content), "pointerSize": 134}
        return told


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextmanager
def served(hub: Hub) -> Iterator[Hub]:
    """Serve `hub` meanwhile; its `url` is the endpoint."""
    signatures: set[str] = set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def _answer(self) -> None:
            headers = self.headers
            hub.asked.append(
                Request(
                    self.command,
                    self.path,
                    headers["Host"],
                    headers["User-Agent"] or "",
                    headers["Range"],
                    headers["Authorization"],
                )
            )
            path, _, query = self.path.partition("?")
            if path.startswith("/api/models/"):
                self._tell(path.removeprefix("/api/models/"))
            elif path.startswith("/cdn/"):
                if query not in signatures:
                    self._refuse(403)
                    return
                signatures.discard(query)
                digest = path.removeprefix("/cdn/")
                self._send(next(n for n, c in hub.files.items() if _sha256(c) == digest))
            else:
                self._resolve(path)

        def _tell(self, asked: str) -> None:
            if hub.api_statuses:
                self._refuse(hub.api_statuses.pop(0))
                return
            name, _, revision = asked.partition("/revision/")
            if name != hub.id:
                self._refuse(404, "RepoNotFound")
            elif revision and revision not in (*hub.revisions, *hub.older, hub.commit):
                self._refuse(404, "RevisionNotFound")
            else:
                commit = revision if revision in hub.older else hub.commit
                self._whole(hub.body or json.dumps(hub.info() | {"sha": commit}).encode())

        def _resolve(self, path: str) -> None:
            if hub.file_statuses:
                self._refuse(hub.file_statuses.pop(0))
                return
            commit, _, name = path.removeprefix(f"/{hub.id}/resolve/").partition("/")
            if commit not in (*hub.older, hub.commit) or name not in hub.files:
                self._refuse(404, "EntryNotFound")
            elif len(hub.files[name]) < hub.lfs_from:
                self._send(name)
            else:
                signature = f"signature={len(hub.asked)}"
                signatures.add(signature)
                digest = _sha256(hub.files[name])
                port = server.server_port
                self.send_response(302)
                self.send_header("Location", f"http://localhost:{port}/cdn/{digest}?{signature}")
                self.send_header("X-Repo-Commit", hub.commit)
                self.send_header("X-Linked-ETag", f'"{digest}"')
                self.send_header("X-Linked-Size", str(len(hub.files[name])))
                self.send_header("Content-Length", "0")
                self.end_headers()

        def _refuse(self, status: int, code: str | None = None) -> None:
            self.send_response(status)
            if code or hub.error_code:
                self.send_header("X-Error-Code", code or hub.error_code or "")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _whole(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _send(self, name: str) -> None:
            content = hub.files[name]
            if hub.corrupt.get(name, 0) > 0:
                hub.corrupt[name] -= 1
                content = bytes([content[0] ^ 1]) + content[1:]
            wanted = self.headers["Range"] if hub.ranges else None
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
            if wanted and start >= len(content):
                self._refuse(416)
                return
            self.send_response(206 if wanted else 200)
            if wanted:
                total = len(content)
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            body = content[start:]
            if (limit := hub.hold.pop(name, None)) is not None:
                self.wfile.write(body[:limit])
                hub.held.set()
                hub.released.wait()
                self.close_connection = True
                return
            if hub.breaks.get(name):
                self.close_connection = True
                body = body[: hub.breaks[name].pop(0)]
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        hub.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
