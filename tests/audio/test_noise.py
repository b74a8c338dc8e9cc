"""Noise: its spectrum, its level, and how far it lies below speech."""

from __future__ import annotations

import numpy as np
import pytest

from assistant.audio.noise import SILENCE_LEVEL, active_level, coloured_noise, level, mixed
from assistant.audio.pcm import Pcm, Samples
from assistant.errors import AudioError


def talk(seconds: float, pause: float, rate: int = 16_000, dbfs: float = -20.0) -> Pcm:
    """Syllables of a second, with a 4 Hz rhythm, each followed by a pause."""
    time = np.arange(round(rate * 1.0)) / rate
    syllables = np.sin(2 * np.pi * 220 * time) * (1 + 0.5 * np.sin(2 * np.pi * 4 * time))
    syllables *= 10 ** (dbfs / 20) / np.sqrt(np.mean(np.square(syllables)))
    once = np.concatenate([syllables, np.zeros(round(rate * pause))])
    samples = np.tile(once, round(seconds))
    return Pcm(np.rint(samples * 32767).astype(np.int16), rate)


def octave(samples: Samples, low: float, rate: int = 16_000) -> float:
    """Level in dB of the octave from `low` Hz."""
    spectrum = np.square(np.abs(np.fft.rfft(samples.astype(np.float64))))
    frequency = np.fft.rfftfreq(len(samples), 1 / rate)
    return float(10 * np.log10(spectrum[(frequency >= low) & (frequency < 2 * low)].sum()))


@pytest.mark.parametrize(("pink", "rise"), [(True, 0.0), (False, 3.0)])
def test_spectrum_per_octave(pink: bool, rise: float) -> None:
    noise = coloured_noise(8, -30, pink=pink).samples
    levels = [octave(noise, low) for low in (125, 250, 500, 1000, 2000)]
    assert np.diff(levels) == pytest.approx([rise] * 4, abs=0.5)


def test_level_and_seed() -> None:
    first, again, other = (coloured_noise(2, -35.0, seed=seed) for seed in (1, 1, 2))
    assert level(first.samples) == pytest.approx(-35.0, abs=0.1)
    assert np.array_equal(first.samples, again.samples)
    assert not np.array_equal(first.samples, other.samples)


@pytest.mark.parametrize("rate", [16_000, 22_050])
@pytest.mark.parametrize("pause", [0.0, 1.0, 4.0])
def test_pauses_do_not_make_speech_quieter(pause: float, rate: int) -> None:
    speech = talk(4, pause, rate)
    # P.56 counts 0.2 s of each pause as speech (0.8 dB) and what fades out before it.
    assert active_level(speech) == pytest.approx(-20.0, abs=1.6)
    if pause == 4.0:
        assert level(speech.samples) < -26


@pytest.mark.parametrize("samples", [np.zeros(16_000, np.int16), np.zeros(0, np.int16)])
def test_silence_has_no_active_level(samples: Samples) -> None:
    silence = Pcm(samples, 16_000)
    assert active_level(silence) == SILENCE_LEVEL
    with pytest.raises(AudioError, match="no speech"):
        mixed(silence, coloured_noise(1, -30), 12)


@pytest.mark.parametrize("snr", [0.0, 6.0, 12.0, 18.0])
@pytest.mark.parametrize("pink", [True, False])
def test_mixing_keeps_the_asked_distance(snr: float, pink: bool) -> None:
    speech = talk(4, 2.0)
    heard = mixed(speech, coloured_noise(3, -10, pink=pink), snr)
    assert len(heard.samples) == len(speech.samples)
    added = heard.samples.astype(np.int32) - speech.samples
    distance = active_level(speech) - level(added.astype(np.int16))
    assert distance == pytest.approx(snr, abs=0.3)


def test_mixing_does_not_clip() -> None:
    heard = mixed(talk(2, 0.5, dbfs=-4.0), coloured_noise(2, -30), 0.0)
    assert np.sum(np.abs(heard.samples.astype(np.int32)) >= 32767) <= 1


def test_mixing_at_another_rate() -> None:
    speech = talk(2, 0.5, 22_050)
    assert mixed(speech, coloured_noise(1, -30), 12).rate == 22_050
