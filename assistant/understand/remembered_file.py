"""The file of what is remembered, beside which others may work: the command line, while we run."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from assistant.errors import AssistantError
from assistant.home.action import Action
from assistant.understand.remembered import Remembered, Slot, Step

log = logging.getLogger(__name__)

FILE_NAME: Final = "remembered.sqlite"
"""In the data folder."""
MOST: Final = 500
"""Utterances that are remembered; of more, those go that were not used for the longest time."""
_VERSION: Final = 1
_PATIENCE: Final = 1.0
"""Seconds to wait for somebody else who writes."""
_SCHEMA: Final = """
create table if not exists remembered (
  id integer primary key autoincrement,
  language text not null,
  said text not null,
  area text,
  pattern text not null,
  slots text not null,
  steps text not null,
  about text not null,
  learnt real not null,
  trial_ends real not null,
  used integer not null,
  last_used real not null,
  enabled integer not null
);
"""
_COLUMNS: Final = (
    "id, language, said, area, pattern, slots, steps, about, learnt, trial_ends, used, last_used, "
    "enabled"
)
_BESIDE: Final = ("", "-wal", "-shm")

T = TypeVar("T")


class RememberedFile:
    """The file, open. Use from one thread. Methods raise AssistantError when the disk fails them.

    A damaged file is moved aside, with a warning, and begun anew: what was in it is asked of the
    model again.
    """

    def __init__(self, path: Path, most: int = MOST) -> None:
        """Open or create `path`. Raises AssistantError."""
        self._path = path
        self._most = most
        self._database: sqlite3.Connection
        self._opened: tuple[int, int] = (0, 0)
        self._entries: tuple[Remembered, ...] | None = None
        self._parsed: dict[tuple[Any, ...], Remembered | None] = {}
        self._version = -1
        try:
            try:
                self._open()
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                self._move_aside(error)
                self._open()
        except (sqlite3.Error, OSError, UnicodeError) as error:
            raise self._unusable(error) from error

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def entries(self) -> tuple[Remembered, ...]:
        """All that is remembered, the most recently used first.

        The same tuple as long as nothing has changed, by us or by others.
        """

        def read(database: sqlite3.Connection) -> tuple[Remembered, ...]:
            version = database.execute("pragma data_version").fetchone()[0]
            if self._entries is None or version != self._version:
                rows = database.execute(
                    f"select {_COLUMNS} from remembered order by last_used desc, id desc"  # noqa: S608
                ).fetchall()
                parsed = self._parsed  # most rows are as they were
                self._parsed = {row: parsed[row] if row in parsed else _entry(row) for row in rows}
                self._entries = tuple(e for e in self._parsed.values() if e is not None)
                self._version = version
            return self._entries

        return self._at_work(read)

    def put(self, entry: Remembered) -> int:
        """Keep `entry` in place of what was said so there; the number by which it is known."""

        def write(database: sqlite3.Connection) -> int:
            database.execute("begin immediate")
            database.execute(
                "delete from remembered where language = ? and said = ? and area is ?",
                (entry.language, entry.said, entry.area),
            )
            row = _row(entry)
            number = database.execute(
                f"insert into remembered ({_COLUMNS}) "  # noqa: S608
                f"values ({', '.join('?' * len(row))})",
                (None, *row[1:]),
            ).lastrowid
            database.execute(
                "delete from remembered where id not in "
                "(select id from remembered order by last_used desc, id desc limit ?)",
                (self._most,),
            )
            database.execute("commit")
            return number or 0

        return self._changing(write)

    def change(self, entry: Remembered) -> None:
        """Keep `entry` in place of the one with its number, if that is still there."""
        columns = _COLUMNS.split(", ")

        def write(database: sqlite3.Connection) -> None:
            database.execute(
                f"update remembered set {', '.join(f'{c} = ?' for c in columns)} "  # noqa: S608
                "where id = ?",
                (*_row(entry), entry.id),
            )

        self._changing(write)

    def note_use(self, number: int, now: float) -> None:
        """The entry with this number was used, at second `now` since the epoch."""
        self._changing(
            lambda database: database.execute(
                "update remembered set used = used + 1, last_used = ? where id = ?", (now, number)
            )
        )

    def forget(self, numbers: Sequence[int]) -> int:
        """Forget the entries with these numbers, and leave nothing of them; how many there were."""

        def write(database: sqlite3.Connection) -> int:
            count = sum(
                database.execute("delete from remembered where id = ?", (number,)).rowcount
                for number in numbers
            )
            database.execute("pragma wal_checkpoint(truncate)")  # it held a copy
            return count

        return self._changing(write)

    def forget_all(self) -> int:
        """Forget everything, and leave nothing of it in the file; how much there was."""

        def write(database: sqlite3.Connection) -> int:
            count = database.execute("delete from remembered").rowcount
            database.execute("vacuum")
            database.execute("pragma wal_checkpoint(truncate)")
            return count

        return self._changing(write)

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # What is said at home is for the owner's eyes; SQLite's files beside it get its rights.
        self._path.touch(mode=0o600)
        database = sqlite3.connect(str(self._path), timeout=_PATIENCE, isolation_level=None)
        try:
            database.execute("pragma journal_mode = wal")
            # The last entry may be lost in a power cut; it is learnt again.
            database.execute("pragma synchronous = normal")
            database.execute("pragma secure_delete = on")
            complaint = database.execute("pragma quick_check(1)").fetchone()[0]
            if complaint != "ok":
                raise _Damaged(complaint)
            version = database.execute("pragma user_version").fetchone()[0]
            if version > _VERSION:
                raise AssistantError(
                    f"{self._path}: was written by a newer version of the assistant; update, or "
                    "move it away"
                )
            if version == 0:
                database.executescript(
                    f"begin; {_SCHEMA} pragma user_version = {_VERSION}; commit;"
                )
        except BaseException:
            database.close()
            raise
        self._database = database
        self._opened = _identity(self._path)
        self._entries = None

    def _changing(self, do: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return self._at_work(do)
        finally:
            self._entries = None

    def _at_work(self, do: Callable[[sqlite3.Connection], T]) -> T:
        """Do something with the file, which may have been replaced, removed or damaged since."""
        try:
            if _identity(self._path) != self._opened:
                self._database.close()
                self._open()
            try:
                return do(self._database)
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                self._database.close()
                self._move_aside(error)
                self._open()
                return do(self._database)
        except (sqlite3.Error, OSError, UnicodeError) as error:
            raise self._unusable(error) from error
        finally:
            with suppress(sqlite3.Error):
                if self._database.in_transaction:
                    self._database.execute("rollback")

    def _move_aside(self, error: sqlite3.DatabaseError) -> None:
        """Rename the damaged file, unless somebody else has done so already."""
        if self._opened not in ((0, 0), _identity(self._path)):
            return
        aside = self._path.with_name(f"{self._path.name}.damaged-{time.time():.0f}")
        for ending in _BESIDE:
            with suppress(FileNotFoundError):
                os.replace(f"{self._path}{ending}", f"{aside}{ending}")
        log.warning(
            "%s is damaged (%s): it is now %s, and what was remembered is learnt anew",
            self._path,
            error,
            aside.name,
        )

    def _unusable(self, error: Exception) -> AssistantError:
        return AssistantError(
            f"{self._path}: what is remembered can't be read or written ({error}); check the "
            "disk, its rights, and who else writes it"
        )


class _Damaged(sqlite3.DatabaseError):
    """The file is not what SQLite wrote."""


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the file itself is broken, rather than the disk full, locked or read-only."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return isinstance(error, _Damaged)
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _identity(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except FileNotFoundError:
        return (0, 0)
    return status.st_dev, status.st_ino


def _row(entry: Remembered) -> tuple[Any, ...]:
    slots = [[slot.kind, slot.value, slot.type] for slot in entry.slots]
    steps = [
        {
            "do": step.action.name,
            "to": list(step.action.devices),
            "with": dict(step.action.params),
            "types": list(step.types),
        }
        for step in entry.steps
    ]
    return (
        entry.id,
        entry.language,
        entry.said,
        entry.area,
        entry.pattern,
        json.dumps(slots),
        json.dumps(steps),
        entry.about,
        entry.learnt,
        entry.trial_ends,
        entry.used,
        entry.last_used,
        int(entry.enabled),
    )


def _entry(row: tuple[Any, ...]) -> Remembered | None:
    """The entry that a row holds; None, with a warning, where somebody has spoilt it."""
    number, language, said, area, pattern, slots, steps, about = row[:8]
    try:
        return Remembered(
            language,
            said,
            tuple(
                Step(
                    Action(step["do"], tuple(step["to"]), dict(step["with"])), tuple(step["types"])
                )
                for step in json.loads(steps)
            ),
            area,
            pattern,
            tuple(Slot(*slot) for slot in json.loads(slots)),
            about,
            number,
            learnt=row[8],
            trial_ends=row[9],
            used=row[10],
            last_used=row[11],
            enabled=bool(row[12]),
        )
    except (ValueError, TypeError, KeyError) as error:
        log.warning("what is remembered under number %s can't be read: %s", number, error)
        return None
