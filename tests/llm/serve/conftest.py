from __future__ import annotations

from collections.abc import AsyncIterator

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
async def client(url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
        yield client
