"""Speech recognition: one streaming contract, Vosk and Whisper behind it."""
