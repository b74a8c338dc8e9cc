"""Speech out: text made speakable, sentence by sentence, by Piper or espeak-ng."""
