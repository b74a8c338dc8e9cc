from __future__ import annotations

import errno
import http.client
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant.errors import ModelError
from assistant.models.download import download

from .server import Site, served

BODY = random.Random(1).randbytes(700_000)


def get(site: Site, folder: Path, max_bytes: int = 1_000_000) -> list[tuple[int, int | None]]:
    told: list[tuple[int, int | None]] = []
    download(
        site.url,
        folder / "part",
        validator=folder / "validator",
        max_bytes=max_bytes,
        progress=lambda done, total: told.append((done, total)),
        pause=0,
    )
    return told


def test_arrives_whole_and_tells_how_far_it_is(tmp_path: Path) -> None:
    with served(Site(BODY)) as site:
        told = get(site, tmp_path)
    assert (tmp_path / "part").read_bytes() == BODY
    assert told[0] == (0, len(BODY))
    assert told[-1] == (len(BODY), len(BODY))
    assert told == sorted(told)


def test_interruptions_are_gone_on_with_where_they_stopped(tmp_path: Path) -> None:
    with served(Site(BODY, break_after=[100_000, 0, 300_000])) as site:
        get(site, tmp_path)
    assert (tmp_path / "part").read_bytes() == BODY
    assert site.asked == [None, "bytes=100000-", "bytes=100000-", "bytes=400000-"]


def test_a_network_that_goes_away_is_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which the system tells of in more ways than a closed connection."""

    def faults() -> Iterator[OSError]:
        for number in (errno.EHOSTUNREACH, errno.ENETDOWN):
            yield OSError(number, os.strerror(number))

    read, coming = http.client.HTTPResponse.read1, faults()

    def failing(response: http.client.HTTPResponse, size: int) -> bytes:
        if (fault := next(coming, None)) is not None:
            raise fault
        return read(response, size)

    monkeypatch.setattr(http.client.HTTPResponse, "read1", failing)
    with served(Site(BODY)) as site:
        get(site, tmp_path)
    assert (tmp_path / "part").read_bytes() == BODY


def test_a_later_call_goes_on_with_what_an_earlier_one_kept(tmp_path: Path) -> None:
    with served(Site(BODY, break_after=[50_000, 0, 0, 0, 0])) as site:
        with pytest.raises(ModelError, match="50000 bytes are kept"):
            get(site, tmp_path)
        site.asked.clear()
        get(site, tmp_path)
    assert site.asked == ["bytes=50000-"]
    assert (tmp_path / "part").read_bytes() == BODY


def test_a_file_that_changed_meanwhile_is_fetched_anew(tmp_path: Path) -> None:
    with served(Site(BODY, break_after=[50_000, 0, 0, 0, 0])) as site:
        with pytest.raises(ModelError):
            get(site, tmp_path)
        site.body, site.etag = BODY[::-1], '"2"'
        get(site, tmp_path)
    assert (tmp_path / "part").read_bytes() == BODY[::-1]


@pytest.mark.parametrize("etag", ['"1"', 'W/"1"', None])
def test_a_server_without_ranges_or_versions_starts_over(tmp_path: Path, etag: str | None) -> None:
    with served(Site(BODY, etag=etag, ranges=False, break_after=[50_000])) as site:
        get(site, tmp_path)
    assert (tmp_path / "part").read_bytes() == BODY


def test_a_part_longer_than_the_file_is_thrown_away(tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(BODY + BODY)
    (tmp_path / "validator").write_text('"1"')
    with served(Site(BODY)) as site:
        get(site, tmp_path)
    assert (tmp_path / "part").read_bytes() == BODY


def test_a_complete_part_is_not_taken_for_an_error(tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(BODY)
    (tmp_path / "validator").write_text('"1"')
    with served(Site(BODY)) as site:
        get(site, tmp_path)
    assert (tmp_path / "part").read_bytes() == BODY


def test_a_busy_server_is_asked_again_and_a_missing_file_is_not(tmp_path: Path) -> None:
    with served(Site(BODY, statuses=[503, 429])) as site:
        get(site, tmp_path)
        assert len(site.asked) == 3
        site.statuses = [404]
        with pytest.raises(ModelError, match="404"):
            get(site, tmp_path)
        assert len(site.asked) == 4


def test_more_than_expected_is_refused(tmp_path: Path) -> None:
    with served(Site(BODY)) as site, pytest.raises(ModelError, match="expected"):
        get(site, tmp_path, max_bytes=600_000)
    assert not (tmp_path / "part").exists()


def test_redirects_are_followed_but_only_to_the_web(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("not for you")
    with served(Site(BODY)) as target, served(Site(b"", location=target.url)) as site:
        get(site, tmp_path)
        assert (tmp_path / "part").read_bytes() == BODY
        site.location = (tmp_path / "secret").as_uri()
        (tmp_path / "part").unlink()
        with pytest.raises(ModelError):
            get(site, tmp_path)
    assert not (tmp_path / "part").exists()


def test_nobody_there_says_so(tmp_path: Path) -> None:
    with served(Site(BODY)) as site:
        pass
    with pytest.raises(ModelError, match="can't be reached"):
        get(site, tmp_path)
