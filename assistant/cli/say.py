"""`assistant say`: hear the voice, or write it into a file."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from assistant.cli.options import ConfigOption, LanguageOption, log_to_terminal, settings_from
from assistant.errors import AudioError, ModelError


def command(
    text: Annotated[str, typer.Argument(help="What to say.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE.wav", help="Write it into a WAV file."),
    ] = None,
    language: LanguageOption = None,
    config: ConfigOption = None,
) -> None:
    """Speak TEXT with the configured voice, as replies are spoken.

    Examples: `assistant say "dinner is ready"`, `assistant say -l it "è pronto" -o ready.wav`
    """
    log_to_terminal(verbose=False)
    settings = settings_from(config, language)

    from assistant.audio.devices import sound_devices
    from assistant.audio.speaker import Speaker as Loudspeaker
    from assistant.audio.wavsink import WavSink
    from assistant.tts.select import select_speaker

    speaker = select_speaker(settings.tts, settings.language)
    if speaker is None:
        raise ModelError('speech is switched off: engine = "none" in [tts]')

    async def say() -> None:
        if output is not None:
            sink = WavSink(output.absolute().parent, realtime=False)
            written = sink.begin(output.stem)
            await speaker.say(text, sink)
            typer.echo(f"{written}: written with {speaker.voice.name}")
        else:
            if settings.source[0].output == "none":
                raise AudioError('output = "none" in [[source]]; write a file with: -o FILE.wav')
            # The daemon waits for a missing device; here somebody waits for the sound.
            devices = await sound_devices()
            if not devices.outputs:
                raise AudioError(f"{devices.problem}; to write a file: -o FILE.wav")
            async with Loudspeaker(settings.source[0].output) as loudspeaker:
                await speaker.say(text, loudspeaker)

    asyncio.run(say())
