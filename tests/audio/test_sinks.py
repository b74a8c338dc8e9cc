"""Replies as files, chimes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from assistant.audio.chime import Chime, chime
from assistant.audio.noise import coloured_noise, level
from assistant.audio.wav import read_wav
from assistant.audio.wavsink import WavSink
from assistant.errors import AudioError


def found_in(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


async def test_each_reply_is_a_file_and_a_named_one_takes_several_sentences(
    tmp_path: Path,
) -> None:
    sink = WavSink(tmp_path / "new", realtime=False)
    one, two = coloured_noise(0.3, -20, seed=1), coloured_noise(0.4, -20, seed=2)
    await sink.play(one)
    path = sink.begin("turn-7")
    await sink.play(one)
    await sink.play(two)
    sink.begin("turn-8")
    await sink.play(two)
    assert not sink.playing
    files = [file.name for file in found_in(tmp_path / "new")]
    assert files == ["reply-001.wav", "turn-7.wav", "turn-8.wav"]
    assert path.name == "turn-7.wav"
    expected = np.concatenate((one.samples, two.samples))
    assert np.array_equal(read_wav(path).samples, expected)


async def test_stop_cuts_what_is_played_and_drops_what_is_queued(tmp_path: Path) -> None:
    sink = WavSink(tmp_path)
    plays = [asyncio.create_task(sink.play(coloured_noise(20, -20))) for _ in range(2)]
    await asyncio.sleep(0.2)
    assert sink.playing
    sink.stop()
    async with asyncio.timeout(20):
        await asyncio.gather(*plays)
    assert not sink.playing
    assert [file.name for file in found_in(tmp_path)] == ["reply-001.wav"]
    assert read_wav(tmp_path / "reply-001.wav").duration < 10
    await sink.play(coloured_noise(0.1, -20))
    assert read_wav(tmp_path / "reply-002.wav").duration == pytest.approx(0.1)


async def test_a_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AudioError, match="file"):
        await WavSink(tmp_path / "file", realtime=False).play(coloured_noise(0.1, -20))


@pytest.mark.parametrize("kind", Chime)
def test_chimes_are_short_soft_and_do_not_click(kind: Chime) -> None:
    pcm = chime(kind)
    assert 0.1 < pcm.duration < 0.5
    assert -40 < level(pcm.samples) < -15
    assert np.max(np.abs(pcm.samples)) < 10_000
    assert abs(int(pcm.samples[0])) < 50
    assert abs(int(pcm.samples[-1])) < 50


def test_chimes_differ() -> None:
    sounds = {chime(kind).samples.tobytes() for kind in Chime}
    assert len(sounds) == len(Chime)
