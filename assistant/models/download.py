"""HTTP downloads that survive interruptions. urllib is enough: one GET with a Range header."""

from __future__ import annotations

import http.client
import logging
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from assistant.errors import ModelError

_TIMEOUT = 30.0
_ATTEMPTS = 5
_BLOCK = 1 << 18
_log = logging.getLogger(__name__)


class _InterruptedError(Exception):
    """The transfer broke off; what arrived is kept."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but not from https to http, and tells no other host who we are."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise ModelError(f"{req.full_url} redirects to unencrypted {newurl}; not followed")
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request is not None and _host(newurl) == _host(req.full_url):
            request.unredirected_hdrs.update(req.unredirected_hdrs)
        return request


def download(
    url: str,
    target: Path,
    *,
    validator: Path | None,
    max_bytes: int,
    progress: Callable[[int, int | None], None],
    headers: Mapping[str, str] | None = None,
    attempts: int = _ATTEMPTS,
    pause: float = 1.0,
) -> None:
    """Fetch `url` into `target`, going on where an earlier attempt stopped.

    `validator` keeps the server's ETag or date, so that a file which changed meanwhile is
    fetched anew; None: what lies behind this URL never changes. `headers` go to the URL's own host
    and to no other that it redirects to. Interruptions are retried until `attempts` in a row have
    brought nothing, `pause` seconds apart at first and twice as long each time; what has arrived
    stays for the next call. `progress` is told the bytes here and in all (None: the server didn't
    say). Raises ModelError.
    """
    failures = 0
    while True:
        before = target.stat().st_size if target.exists() else 0
        try:
            _attempt(url, target, validator, max_bytes, progress, headers or {})
        except _InterruptedError as error:
            here = target.stat().st_size if target.exists() else 0
            failures = 1 if here > before else failures + 1
            if failures >= attempts:
                raise ModelError(f"{url}: {error}; {here} bytes are kept") from error
            _log.info("%s: %s; trying again", url, error)
            time.sleep(pause * 2 ** (failures - 1))
        else:
            if validator:
                validator.unlink(missing_ok=True)
            return


def _attempt(
    url: str,
    target: Path,
    validator: Path | None,
    max_bytes: int,
    progress: Callable[[int, int | None], None],
    headers: Mapping[str, str],
) -> None:
    known = validator is None or validator.exists()
    start = target.stat().st_size if target.exists() and known else 0
    request = urllib.request.Request(url, headers={"User-Agent": "mimo-voice"})  # noqa: S310 -- only HTTP handlers below
    for name, value in headers.items():
        request.add_unredirected_header(name, value)
    if start:
        request.add_header("Range", f"bytes={start}-")
        if validator:
            request.add_header("If-Range", validator.read_text(encoding="ascii"))
    with _opened(request, validator or target) as response:
        start, total = _placement(response, start)
        if total is not None and total > max_bytes:
            raise ModelError(f"{url} has {total} bytes; at most {max_bytes} are expected")
        if start == 0 and validator:
            _keep_validator(response, validator)
        _receive(response, target, start, total, max_bytes, progress)


def _opened(request: urllib.request.Request, outdated: Path) -> http.client.HTTPResponse:
    """The server's answer. `outdated` is deleted where the server's file is another one by now."""
    url = request.full_url
    try:
        response: http.client.HTTPResponse = _opener().open(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            # The part is no beginning of what the server has now.
            outdated.unlink(missing_ok=True)
            raise _InterruptedError("the server's file is another one now") from error
        if error.code >= 500 or error.code == http.HTTPStatus.TOO_MANY_REQUESTS:
            raise _InterruptedError(f"the server answers {error.code} {error.reason}") from error
        raise ModelError(f"{url}: the server answers {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise _InterruptedError(f"can't be reached ({error.reason})") from error
    except (OSError, http.client.HTTPException) as error:
        raise _broken_off(error) from error
    return response


def _broken_off(error: Exception) -> _InterruptedError:
    return _InterruptedError(f"broke off ({str(error) or type(error).__name__})")


def _host(url: str) -> tuple[str, str]:
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.netloc


def _opener() -> urllib.request.OpenerDirector:
    opener = urllib.request.OpenerDirector()  # without file:, ftp: and data:
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener


def _placement(response: http.client.HTTPResponse, asked: int) -> tuple[int, int | None]:
    """From which byte on the answer is, and of how many in all."""
    if response.status == http.HTTPStatus.PARTIAL_CONTENT:
        match = re.match(r"bytes (\d+)-\d+/(\d+|\*)$", response.headers.get("Content-Range", ""))
        if match is None or int(match[1]) != asked:
            raise ModelError("the server sends another part of the file than was asked for")
        return asked, None if match[2] == "*" else int(match[2])
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _keep_validator(response: http.client.HTTPResponse, validator: Path) -> None:
    """Remember the strong ETag or the date; without either, a part can't be gone on with."""
    tag = response.headers.get("ETag", "")
    mark = tag if tag.startswith('"') else response.headers.get("Last-Modified", "")
    if mark and mark.isascii():
        validator.write_text(mark, encoding="ascii")
    else:
        validator.unlink(missing_ok=True)


def _receive(
    response: http.client.HTTPResponse,
    target: Path,
    start: int,
    total: int | None,
    max_bytes: int,
    progress: Callable[[int, int | None], None],
) -> None:
    done = start
    with target.open("ab" if start else "wb") as file:
        progress(done, total)
        while block := _arrived(response):
            file.write(block)
            done += len(block)
            progress(done, total)
            if done > max_bytes:
                raise ModelError(f"the server sends more than the {max_bytes} bytes expected")
    if total is not None and done < total:
        raise _InterruptedError(f"broke off after {done} of {total} bytes")


def _arrived(response: http.client.HTTPResponse) -> bytes:
    """What has come of the rest, waited for if need be; empty at its end."""
    try:
        return response.read1(_BLOCK)  # no more than is there: an interruption loses nothing
    except (OSError, http.client.HTTPException) as error:
        raise _broken_off(error) from error
