"""SmolLM2, built where the user's own models lie, unless it is there already."""

from __future__ import annotations

from assistant.llm.directory import ModelDirectory
from assistant.llm.export.build import build
from assistant.llm.library import built, open_built, place_of
from assistant.llm.sources import find_source, suited

NAME = "smollm2"


def smollm2() -> ModelDirectory:
    """The built model, in 8 bits."""
    if not built(NAME):
        with find_source(NAME).opened() as checkpoint:
            build(checkpoint, suited(checkpoint.architecture), place_of(NAME), NAME)
    return open_built(NAME)
