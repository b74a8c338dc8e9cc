"""The user's own sentences: files in hassil's format, what they do, and when they change."""
