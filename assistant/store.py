"""What must survive a power cut, in one SQLite file: timers, what is scheduled, lists, the PIN."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from assistant.errors import StoreError

_STEPS: Final = (
    """
create table timer (
  id text primary key,
  name text,
  area text,
  duration real not null,
  ends real,
  remaining real,
  command text,
  language text not null
);
create table list_item (
  list text not null,
  place integer not null,
  item text not null,
  primary key (list, place)
);
""",
    """
create table pin (
  one integer primary key check (one = 1),
  salt blob not null,
  digest blob not null,
  failures integer not null default 0,
  locked_until real not null default 0
);
""",
    """
create table schedule (
  id integer primary key autoincrement,
  occasion text not null,
  next real not null,
  command text not null,
  message text not null,
  does text not null,
  approved text not null,
  area text,
  language text not null
);
""",
    """
alter table timer add column does text not null default '[]';
alter table timer add column approved text not null default '';
""",
)
"""What makes each version of the file of the one before it."""
_VERSION: Final = len(_STEPS)


@dataclass(frozen=True, slots=True)
class StoredTimer:
    """A timer, or a command for later (`command`). Times in seconds; `ends` since the epoch.

    Running: `ends` is set. Paused: `remaining` is. `does` and `approved`: what a command meant when
    it was given, see `assistant.home.scheduled`.
    """

    id: str
    duration: float
    ends: float | None
    remaining: float | None = None
    name: str | None = None
    area: str | None = None
    command: str | None = None
    language: str = "en"
    does: str = "[]"
    approved: str = ""


@dataclass(frozen=True, slots=True)
class StoredSchedule:
    """A command, or a message, for an occasion. `next`: when it comes, seconds since the epoch.

    `occasion`, `does` and `approved`: see `assistant.home.occasion` and `assistant.home.scheduled`.
    """

    id: int
    """0: not kept yet."""
    occasion: str
    next: float
    command: str = ""
    message: str = ""
    does: str = "[]"
    approved: str = ""
    area: str | None = None
    language: str = "en"


@dataclass(frozen=True, slots=True)
class StoredPin:
    """What is kept of the PIN: a salted digest. `locked_until`: seconds since the epoch."""

    salt: bytes
    digest: bytes
    locked_until: float


class Store:
    """The file, open. Every change is on disk when its method returns. Use from one thread.

    Methods raise StoreError when the disk fails them.
    """

    def __init__(self, path: Path | None) -> None:
        """Open or create `path`; None keeps everything in memory. Raises StoreError."""
        self._path = path
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                # Lists and commands are for the owner's eyes; SQLite's own files beside it get
                # the same rights.
                path.touch(mode=0o600)
            self._database = sqlite3.connect(str(path or ":memory:"), isolation_level=None)
            # Not the write-ahead log: to open that takes room, and a hub whose disk is full must
            # still start, with what is kept.
            self._database.execute("pragma journal_mode = delete")
            self._database.execute("pragma synchronous = full")
            version = self._database.execute("pragma user_version").fetchone()[0]
            if version > _VERSION:
                raise StoreError(
                    f"{path}: was written by a newer version of the assistant; "
                    "update, or move it away"
                )
            if version < _VERSION:
                steps = "".join(_STEPS[version:])
                self._database.executescript(
                    f"begin; {steps} pragma user_version = {_VERSION}; commit;"
                )
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"{path}: can't be used as the store ({error}); check the room on its disk and "
                "its rights; move only a damaged one away: timers, lists and the PIN are in it"
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    @contextmanager
    def _at_work(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._database
        except sqlite3.Error as error:
            raise StoreError(
                f"{self._path}: the store fails ({error}); check the disk, and who else writes it"
            ) from error

    def timers(self) -> list[StoredTimer]:
        """All timers and commands for later, the next to end first, the paused last."""
        with self._at_work() as database:
            rows = database.execute(
                "select id, duration, ends, remaining, name, area, command, language, does, "
                "approved from timer order by ends is null, ends, id"
            )
            return [StoredTimer(*row) for row in rows]

    def put_timer(self, timer: StoredTimer) -> None:
        """Keep `timer`, in place of one with the same id."""
        with self._at_work() as database:
            database.execute(
                "insert or replace into timer "
                "(id, duration, ends, remaining, name, area, command, language, does, approved) "
                "values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    timer.id,
                    timer.duration,
                    timer.ends,
                    timer.remaining,
                    timer.name,
                    timer.area,
                    timer.command,
                    timer.language,
                    timer.does,
                    timer.approved,
                ),
            )

    def remove_timer(self, timer_id: str) -> None:
        """Forget a timer; one that is not there is no error."""
        with self._at_work() as database:
            database.execute("delete from timer where id = ?", (timer_id,))

    def schedules(self) -> list[StoredSchedule]:
        """All that is scheduled, the next to come first."""
        with self._at_work() as database:
            rows = database.execute(
                "select id, occasion, next, command, message, does, approved, area, language "
                "from schedule order by next, id"
            )
            return [StoredSchedule(*row) for row in rows]

    def put_schedule(self, one: StoredSchedule) -> None:
        """Keep `one`: in place of that with its id, or anew, under an id never given before."""
        with self._at_work() as database:
            database.execute(
                "insert or replace into schedule "
                "(id, occasion, next, command, message, does, approved, area, language) "
                "values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    one.id or None,
                    one.occasion,
                    one.next,
                    one.command,
                    one.message,
                    one.does,
                    one.approved,
                    one.area,
                    one.language,
                ),
            )

    def remove_schedule(self, schedule_id: int) -> bool:
        """Forget what is scheduled under this id; returns whether there was anything."""
        with self._at_work() as database:
            gone = database.execute("delete from schedule where id = ?", (schedule_id,))
            return gone.rowcount == 1

    def items(self, list_id: str) -> tuple[str, ...]:
        """The items of a list, in order."""
        with self._at_work() as database:
            rows = database.execute(
                "select item from list_item where list = ? order by place", (list_id,)
            )
            return tuple(row[0] for row in rows)

    def set_items(self, list_id: str, items: Iterable[str]) -> None:
        """Replace the items of a list."""
        rows = [(list_id, place, item) for place, item in enumerate(items)]
        with self._at_work() as database:
            database.execute("begin immediate")
            try:
                database.execute("delete from list_item where list = ?", (list_id,))
                database.executemany(
                    "insert into list_item (list, place, item) values (?, ?, ?)", rows
                )
                database.execute("commit")
            except BaseException:
                if database.in_transaction:
                    database.execute("rollback")
                raise

    def pin(self) -> StoredPin | None:
        """What is kept of the PIN; None: none is set."""
        with self._at_work() as database:
            row = database.execute("select salt, digest, locked_until from pin").fetchone()
            return StoredPin(*row) if row else None

    def set_pin(self, salt: bytes, digest: bytes) -> None:
        """Keep a new PIN, with no failures to its account."""
        with self._at_work() as database:
            database.execute(
                "insert or replace into pin (one, salt, digest) values (1, ?, ?)", (salt, digest)
            )

    def remove_pin(self) -> None:
        """Forget the PIN; where there is none it is no error."""
        with self._at_work() as database:
            database.execute("delete from pin")

    def count_pin_attempt(self, now: float, attempts: int, lock_until: float) -> bool:
        """Count an attempt as failed before it is made; False: none is allowed now.

        The last of `attempts` locks the PIN until `lock_until`, after which they begin anew.
        """
        with self._at_work() as database:
            counted = database.execute(
                "update pin set "
                "failures = iif(failures + 1 >= :attempts, 0, failures + 1), "
                "locked_until = iif(failures + 1 >= :attempts, :lock_until, locked_until) "
                "where locked_until <= :now",
                {"now": now, "attempts": attempts, "lock_until": lock_until},
            )
            return counted.rowcount == 1

    def lock_pin_until(self, until: float) -> None:
        """Take no PIN until `until` (seconds since the epoch); failures so far are forgotten."""
        with self._at_work() as database:
            database.execute("update pin set failures = 0, locked_until = ?", (until,))
