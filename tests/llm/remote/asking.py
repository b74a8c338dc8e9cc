"""Asking a model, and putting its pieces together."""

from __future__ import annotations

from typing import Any

from assistant.llm.model import LanguageModel, Message, Piece, Query, Role


def query(text: str = "Name a colour.", **fields: Any) -> Query:
    return Query((Message(Role.USER, text),), **{"limit": 32, **fields})


async def pieces(model: LanguageModel, asked: Query) -> list[Piece]:
    return [piece async for piece in model.generate(asked)]


async def answer(model: LanguageModel, asked: Query) -> str:
    return "".join(piece.text for piece in await pieces(model, asked))
