"""Wake words: engines that notice them in the stream, and the check that they were meant."""
