from __future__ import annotations

import contextlib
import mmap
import platform
import re
from pathlib import Path

import numpy as np
import pytest

from assistant.llm import pages

MB = 1 << 20
SIZE = 64 * MB
PAGE = mmap.PAGESIZE


def region(
    line: str = "7f0000000000-7f0002000000 rw-p 00000000 00:00 0 ",
    rss: int = 32768,
    huge: int = 0,
    flags: str = "rd wr mr mw me ac sd",
) -> list[str]:
    """32 MB, in the kernel's words."""
    return [
        line + "\n",
        "Size:              32768 kB\n",
        f"Rss:               {rss} kB\n",
        f"AnonHugePages:     {huge} kB\n",
        "THPeligible:           1\n",
        f"VmFlags: {flags} \n",
    ]


@pytest.mark.parametrize(
    ("lines", "taken"),
    [
        (region(), True),
        (region("7f0000000000-7f0002000000 rw-p 00000000 00:00 0    [heap]"), True),
        (region("7f0000000000-7f0002000000 rw-p 00000000 00:00 0    [anon:onnx]"), True),
        (region(rss=32600), True),
        (region(huge=16384), True),
        (region(huge=32768), False),
        (region(rss=16384), False),  # the rest would take memory
        (region(flags="rd wr mr mw me ac sd nh"), False),  # as the KV cache is
        (region("7f0000000000-7f0002000000 r--p 00000000 00:00 0"), False),
        (region("7f0000000000-7f0002000000 rw-s 00000000 00:00 0"), False),
        (region("7f0000000000-7f0002000000 rw-p 00000000 fe:00 77   /home/a model.data"), False),
        (region("7f0000000000-7f0002000000 rw-p 00000000 00:00 0    [stack]"), False),
        (region("7f0000000000-7f0000010000 rw-p 00000000 00:00 0"), False),  # 64 KB
    ],
)
def test_which_regions_are_moved(lines: list[str], taken: bool) -> None:
    place = (0x7F0000000000, 0x7F0002000000)
    around = region("10000-20000 r-xp 00000000 fe:00 5    /usr/bin/python3")
    assert list(pages.regions([*around, *lines, *around])) == [place] * taken


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["garbage"],
        ["Rss: 5 kB", "VmFlags: rd"],
        ["7f0000000000-7f0002000000 rw-p 00000000 00:00 0", "Rss:", "Rss: many kB", "VmFlags:"],
        region()[:-1],  # cut off
    ],
)
def test_what_the_kernel_does_not_say_so_is_left_alone(lines: list[str]) -> None:
    assert not list(pages.regions(lines))


def huge_kilobytes(address: int) -> int:
    """AnonHugePages of the regions that hold the SIZE bytes at `address`."""
    total, inside = 0, False
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
        if header := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            begin, end = (int(text, 16) for text in header.groups())
            inside = begin < address + SIZE and end > address
        elif inside and line.startswith("AnonHugePages:"):
            total += int(line.split()[1])
    return total


def offered() -> bool:
    """Whether this kernel moves memory, and has huge pages to give just now."""
    version = tuple(int(number) for number in re.findall(r"\d+", platform.release())[:2])
    memory = mmap.mmap(-1, SIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):
        memory.madvise(mmap.MADV_HUGEPAGE)
    array = np.frombuffer(memory, np.uint8)
    array[::PAGE] = 1
    return version >= (6, 1) and huge_kilobytes(array.ctypes.data) > 0


@pytest.mark.parametrize("background", [False, True])
def test_memory_moves_with_what_is_in_it(background: bool) -> None:
    expected = SIZE // 2048 if offered() else 0  # half: neither end need be that of a huge page
    memory = mmap.mmap(-1, SIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):
        memory.madvise(mmap.MADV_NOHUGEPAGE)  # so that it gets small ones to begin with
    array = np.frombuffer(memory, np.uint8)
    array[:] = np.arange(SIZE, dtype=np.uint32) // PAGE % 251
    before = array.copy()
    pages.move()
    assert huge_kilobytes(array.ctypes.data) == 0, "it was advised against"
    with contextlib.suppress(OSError):
        memory.madvise(mmap.MADV_HUGEPAGE)
    if background:
        pages.move_in_background().join()
    else:
        pages.move()
    assert huge_kilobytes(array.ctypes.data) >= expected
    assert np.array_equal(array, before)
