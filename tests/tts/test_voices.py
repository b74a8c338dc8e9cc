from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from assistant.audio.pcm import SAMPLE_RATE, Pcm
from assistant.audio.resample import resample
from assistant.config import TtsSettings
from assistant.errors import ModelError
from assistant.models.fetch import ensure
from assistant.stt.whisper import WhisperRecogniser
from assistant.tts.cache import CachedVoice
from assistant.tts.espeak import load_espeak
from assistant.tts.piper import Piper, load_piper
from assistant.tts.select import select_speaker, select_voice


def peak(pcm: Pcm) -> float:
    return float(np.abs(pcm.samples.astype(np.int32)).max()) / 32767


def test_piper_says_what_it_is_given(joe: Piper) -> None:
    whisper = WhisperRecogniser(ensure("whisper-tiny.en"), "en", threads=2)
    stream = whisper.stream()
    spoken = resample(joe.synthesise("The kitchen light is on."), SAMPLE_RATE)
    stream.accept(spoken.samples)
    assert "kitchen light is on" in stream.final().text.lower()


def test_speed_shortens_and_volume_scales(joe: Piper) -> None:
    sentence = "The washing machine is done, and the door of the garage is open."
    usual = joe.synthesise(sentence)
    fast = dataclasses.replace(joe, speed=1.5, volume=0.3).synthesise(sentence)
    assert fast.duration < 0.8 * usual.duration
    assert peak(usual) == pytest.approx(0.9, abs=0.01)
    assert peak(fast) == pytest.approx(0.3, abs=0.01)


def test_a_steady_voice_says_a_sentence_the_same_way_each_time(joe: Piper) -> None:
    for steady in (True, False):
        voice = dataclasses.replace(joe, steady=steady)
        once, again = (voice.synthesise("Done.").samples for _ in range(2))
        assert np.array_equal(once, again) is steady


@pytest.mark.parametrize("nothing", ["", " "])
def test_nothing_to_say_is_no_sound(joe: Piper, nothing: str) -> None:
    assert joe.synthesise(nothing).duration == 0
    assert load_espeak("it").synthesise(nothing).duration < 0.5


def test_espeak_speaks_italian_at_the_volume_asked_for() -> None:
    sound = load_espeak("it", volume=0.5).synthesise("La luce della cucina è accesa.")
    assert 1 < sound.duration < 4
    assert peak(sound) == pytest.approx(0.5, abs=0.01)


def test_text_is_never_an_option_or_a_command(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    text = f"-w {victim} ; touch {victim} $(touch {victim})"
    assert load_espeak("en").synthesise(text).duration > 1
    assert not victim.exists()


def test_espeak_without_such_a_voice() -> None:
    with pytest.raises(ModelError, match="no voice for 'xx'"):
        load_espeak("xx")


def test_espeak_missing_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ModelError, match="apt-get install espeak-ng"):
        load_espeak("it")


def test_what_is_no_voice_is_refused(tmp_path: Path) -> None:
    model = tmp_path / "voice.onnx"
    with pytest.raises(ModelError, match="models fetch"):
        load_piper(model)
    real = next(ensure("piper-en_US-joe-medium").glob("*.onnx.json"))
    model.with_name("voice.onnx.json").write_bytes(real.read_bytes())
    model.write_bytes(b"no model")
    with pytest.raises(ModelError, match="models fetch"):
        load_piper(model)


@pytest.mark.parametrize(
    ("settings", "language", "name"),
    [
        (TtsSettings(), "en", "piper en_US-joe-medium"),
        (TtsSettings(voice="piper-en_US-joe-medium"), "en", "piper en_US-joe-medium"),
        (TtsSettings(), "it", "espeak-ng it"),
        (TtsSettings(engine="espeak"), "en", "espeak-ng en"),
        (TtsSettings(engine="none"), "en", None),
    ],
)
def test_voice_is_what_the_settings_ask_for(
    settings: TtsSettings, language: str, name: str | None
) -> None:
    ensure("piper-en_US-joe-medium")
    voice = select_voice(settings, language)
    assert (voice and voice.name) == name
    speaker = select_speaker(settings, language)
    assert (speaker and speaker.voice.name) == name


@pytest.mark.parametrize(
    ("settings", "language", "remedy"),
    [
        (TtsSettings(engine="piper"), "it", "voice in"),
        (TtsSettings(voice="piper-no-such"), "en", "known:"),
        (TtsSettings(voice="/nowhere/voice.onnx"), "en", "voice in"),
        (TtsSettings(), "xx", "espeak-ng has no voice"),
    ],
)
def test_missing_voice_names_the_remedy(settings: TtsSettings, language: str, remedy: str) -> None:
    with pytest.raises(ModelError, match=remedy):
        select_voice(settings, language)


def test_without_any_model_fetching_one_is_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSISTANT_HOME", str(tmp_path))
    with pytest.raises(ModelError, match="models fetch piper-en_US-joe-medium"):
        select_voice(TtsSettings(engine="piper"), "en")


class CountingVoice:
    name = "counting"
    language = "en"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def synthesise(self, sentence: str) -> Pcm:
        self.asked.append(sentence)
        return Pcm(np.zeros(500, np.int16), 1000)


def test_frequent_replies_are_made_once_and_the_least_used_forgotten() -> None:
    voice = CountingVoice()
    cached = CachedVoice(voice, max_bytes=2500)  # room for two of 1000 bytes
    for sentence in ["Done.", "OK.", "Done.", "No.", "Done.", "OK."]:
        assert cached.synthesise(sentence).duration == 0.5
    assert voice.asked == ["Done.", "OK.", "No.", "OK."]


def test_what_is_too_big_to_keep_is_spoken_all_the_same() -> None:
    voice = CountingVoice()
    cached = CachedVoice(voice, max_bytes=999)
    assert [cached.synthesise("Done.").duration for _ in range(2)] == [0.5, 0.5]
    assert voice.asked == ["Done.", "Done."]
