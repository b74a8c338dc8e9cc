from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import openai
import pytest

from assistant.llm.serve.app import application
from tests.support.served import served

from .model import ScriptedModel


@pytest.fixture
def model() -> ScriptedModel:
    return ScriptedModel()


@pytest.fixture
async def url(model: ScriptedModel) -> AsyncIterator[str]:
    async with served(application(model)) as url:
        yield url


@pytest.fixture
async def http(model: ScriptedModel) -> AsyncIterator[httpx2.AsyncClient]:
    """Asks the application itself: quicker, where nothing hangs on a connection."""
    transport = httpx2.ASGITransport(app=application(model))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        yield http


@pytest.fixture
async def client(url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
        yield client
