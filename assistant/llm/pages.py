"""Weights on huge pages: decoding reads all weights for every token, and looks up fewer addresses.

Onnxruntime asks the system for memory in pages of 4 KB, and has no setting for others. What lies
in them already is moved to huge pages here, which needs Linux 6.1; elsewhere all stays as it is.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import logging
import os
import re
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

_log = logging.getLogger(__name__)

_COLLAPSE: Final = 25
"""MADV_COLLAPSE, which Python's mmap does not name."""
_SMALLEST: Final = 16 << 20
"""Bytes of a region that is worth it. Matrices of a large model are in such ones."""
_FILLED: Final = 0.98
"""Share of a region that must be in memory: moving it takes the rest too."""
_STEP: Final = 32 << 20
"""Bytes moved at once, in some 50 ms: nothing can end a process before its call has ended."""
_NICENESS: Final = 19
_SETTINGS: Final = Path("/sys/kernel/mm/transparent_hugepage")
_HEADER: Final = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ (\d+)\s*(.*)")


def move_in_background() -> threading.Thread:
    """Begin `move`, where nothing else wants the processor; the thread that does it."""
    thread = threading.Thread(target=_move_quietly, name="pages", daemon=True)
    thread.start()
    return thread


def move() -> int:
    """Move what lies in large regions of this process's memory to huge pages; the bytes moved.

    It takes a second or two per gigabyte, and almost no memory. Left alone is what is mapped from
    files, shared, hardly filled, advised against huge pages, or on them already. Does nothing
    where the administrator has switched huge pages off. Memory that is freed meanwhile does no
    harm.
    """
    size = _huge_page()
    advise = getattr(ctypes.CDLL(None, use_errno=True), "madvise", None) if size else None
    if size is None or advise is None:
        return 0
    advise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    started, moved = time.monotonic(), 0
    try:
        with Path("/proc/self/smaps").open(encoding="utf-8", errors="replace") as smaps:
            found = list(regions(smaps))
    except OSError:
        return 0
    for begin, end in found:
        begin, end = -(-begin // size) * size, end // size * size
        for at in range(begin, end, max(size, _STEP)):
            length = min(max(size, _STEP), end - at)
            if not advise(at, length, _COLLAPSE):
                moved += length
            elif ctypes.get_errno() != errno.EAGAIN:  # which is for a part in use just then
                break  # freed, or no huge page can be had: then the next one would only take time
    _log.debug("%d MB on huge pages after %.1f s", moved >> 20, time.monotonic() - started)
    return moved


def regions(smaps: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Begin and end of the regions worth moving, from the lines of /proc/PID/smaps."""
    place: tuple[int, int] | None = None
    amounts: dict[str, int] = {}
    for line in smaps:
        header = _HEADER.match(line)
        if header:
            begin, end, rights, inode, name = header.groups()
            private = rights == "rw-p" and inode == "0"
            ordinary = not name or name == "[heap]" or name.startswith("[anon")
            place = (int(begin, 16), int(end, 16)) if private and ordinary else None
            amounts = {}
            continue
        key, _, value = line.partition(":")
        if place is None:
            continue
        if key != "VmFlags":
            number = value.split()[0] if value.split() else ""
            amounts[key] = int(number) * 1024 if number.isdecimal() else 0
            continue
        length = place[1] - place[0]
        filled = amounts.get("Rss", 0) >= _FILLED * length
        there = amounts.get("AnonHugePages", 0) >= _FILLED * length
        if length >= _SMALLEST and filled and not there and "nh" not in value.split():
            yield place


def _move_quietly() -> None:
    with contextlib.suppress(OSError, AttributeError):  # forbidden, or not of this system
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
    move()


def _huge_page() -> int | None:
    """Bytes of a huge page, None where there are none or they are switched off."""
    try:
        if "[never]" in (_SETTINGS / "enabled").read_text(encoding="ascii"):
            return None
        return int((_SETTINGS / "hpage_pmd_size").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
