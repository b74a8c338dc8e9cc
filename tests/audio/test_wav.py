"""Sound files of every kind, and files that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assistant.audio.pcm import SAMPLE_RATE, Pcm
from assistant.audio.wav import read_wav, write_wav
from assistant.errors import AudioError


def tone(seconds: float = 1.0, rate: int = SAMPLE_RATE, frequency: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def strongest(pcm: Pcm) -> float:
    """Frequency in Hz of the strongest tone."""
    spectrum = np.abs(np.fft.rfft(pcm.samples.astype(float)))
    return float(np.argmax(spectrum) * pcm.rate / len(pcm.samples))


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "ULAW"])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_every_format_becomes_16_khz_mono(
    tmp_path: Path, rate: int, subtype: str, channels: int
) -> None:
    file = tmp_path / "tone.wav"
    soundfile.write(file, np.tile(tone(0.5, rate)[:, None], channels), rate, subtype=subtype)
    pcm = read_wav(file)
    assert pcm.rate == SAMPLE_RATE
    assert pcm.samples.dtype == np.int16
    assert pcm.duration == pytest.approx(0.5, abs=0.002)
    assert strongest(pcm) == pytest.approx(440, abs=3)
    assert np.max(np.abs(pcm.samples[800:-800])) == pytest.approx(16384, rel=0.05)


@pytest.mark.parametrize("suffix", ["flac", "ogg"])
def test_other_containers(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"tone.{suffix}"
    soundfile.write(file, tone(), SAMPLE_RATE)
    assert strongest(read_wav(file)) == pytest.approx(440, abs=2)


def test_what_is_beyond_full_scale_is_clipped_and_no_number_is_silence(tmp_path: Path) -> None:
    file = tmp_path / "wild.wav"
    wild = np.array([3.0, -3.0, np.nan, np.inf, -np.inf, 0.5], np.float32)
    soundfile.write(file, wild, SAMPLE_RATE, subtype="FLOAT")
    assert read_wav(file).samples.tolist() == [32767, -32768, 0, 32767, -32768, 16384]


def test_a_file_cut_short_yields_what_is_there(tmp_path: Path) -> None:
    file = tmp_path / "cut.wav"
    write_wav(file, Pcm((tone() * 32767).astype(np.int16), SAMPLE_RATE))
    file.write_bytes(file.read_bytes()[: 44 + 16_001])
    assert read_wav(file).duration == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is no sound file"),
        (b"RIFF", "is no sound file"),
        (b"this is a text, not a sound" * 100, "is no sound file"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00", "is no sound file"),
    ],
)
def test_what_is_no_sound_is_refused_with_a_remedy(
    tmp_path: Path, content: bytes, says: str
) -> None:
    file = tmp_path / "bad.wav"
    file.write_bytes(content)
    with pytest.raises(AudioError, match=says) as error:
        read_wav(file)
    assert str(file) in str(error.value)
    assert "ffmpeg" in str(error.value)


def test_a_file_without_samples_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "empty.wav"
    soundfile.write(file, np.zeros(0), SAMPLE_RATE)
    with pytest.raises(AudioError, match="holds no sound"):
        read_wav(file)


@pytest.mark.parametrize("path", ["missing.wav", "."])
def test_what_can_not_be_opened_is_named(tmp_path: Path, path: str) -> None:
    with pytest.raises(AudioError, match="can't be read"):
        read_wav(tmp_path / path)


def test_writing_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="can't be written"):
        write_wav(tmp_path / "no" / "folder.wav", Pcm(np.zeros(10, np.int16), SAMPLE_RATE))


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    pcm = Pcm(np.arange(-1000, 1000, dtype=np.int16), SAMPLE_RATE)
    write_wav(tmp_path / "a.wav", pcm)
    assert np.array_equal(read_wav(tmp_path / "a.wav").samples, pcm.samples)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_damaged_files_yield_sound_or_an_audio_error(tmp_path: Path, data: st.DataObject) -> None:
    file = tmp_path / "damaged.wav"
    write_wav(file, Pcm((tone(0.01) * 32767).astype(np.int16), SAMPLE_RATE))
    content = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, 60))] = data.draw(st.integers(0, 255))
    file.write_bytes(content)
    try:
        pcm = read_wav(file)
    except AudioError:
        return
    assert pcm.samples.dtype == np.int16
    assert pcm.rate == SAMPLE_RATE
