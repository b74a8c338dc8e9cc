"""Sound in and out: devices, files, resampling, the pre-roll ring, voice activity, echo."""
