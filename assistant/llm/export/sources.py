"""Which tensors of a checkpoint an export needs, of what shape, and in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from assistant.errors import ModelError
from assistant.llm.architecture import Architecture
from assistant.llm.chat import ChatTemplate
from assistant.llm.checkpoint.contract import Checkpoint
from assistant.llm.checkpoint.huggingface import load_tokenizer
from assistant.llm.layout import Stored


def source_shapes(stored: Stored, architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """The sources of a stored tensor, with the shapes they must have."""
    a = architecture
    count = len(stored.sources)
    # One, gate and up of the same size, or a table that is computed.
    rows = (stored.rows // max(1, count),) * count
    if count == 3:  # queries, keys, values
        rows = (a.heads * a.head_size, a.kv_heads * a.head_size, a.kv_heads * a.head_size)
    columns = (stored.columns,) if stored.columns else ()
    return {name: (n, *columns) for name, n in zip(stored.sources, rows, strict=True)}


def in_order(stored: Sequence[Stored], shards: Mapping[str, str]) -> list[Stored]:
    """Sorted so that shards are needed one after another, each for a while and then no more.

    A tensor comes as soon as the last of its shards is there, and of those first the ones whose
    other shards have waited longest.
    """
    numbers = {shard: number for number, shard in enumerate(sorted(set(shards.values())))}

    def when(tensor: Stored) -> tuple[int, int]:
        needed = [numbers[shards[source]] for source in tensor.sources]
        return (max(needed), min(needed)) if needed else (-1, -1)

    return sorted(stored, key=when)


def needed_shards(stored: Stored, shards: Mapping[str, str]) -> set[str]:
    """The files that hold the sources of a stored tensor."""
    return {shards[source] for source in stored.sources}


def last_uses(stored: Sequence[Stored], shards: Mapping[str, str]) -> dict[str, int]:
    """The files that `stored` is made of, and which of its tensors is the last that needs each."""
    last: dict[str, int] = {}
    for number, tensor in enumerate(stored):
        last |= dict.fromkeys(needed_shards(tensor, shards), number)
    return last


def check_sources(checkpoint: Checkpoint, stored: Sequence[Stored]) -> None:
    """Raise ModelError for tensors that are missing, or misshapen as far as can be seen now.

    Files that are not here yet are not fetched for it.
    """
    wanted = dict.fromkeys(source for tensor in stored for source in tensor.sources)
    if missing := [name for name in wanted if name not in checkpoint.shards]:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise ModelError(
            f"{checkpoint.source} lacks {', '.join(missing[:3])}{more}, which a model of its "
            "shape has; get the whole checkpoint"
        )
    for tensor in stored:
        for name, shape in source_shapes(tensor, checkpoint.architecture).items():
            if not checkpoint.to_fetch(checkpoint.shards[name]):
                check_shape(checkpoint, name, shape)


def check_shape(checkpoint: Checkpoint, name: str, shape: tuple[int, ...]) -> None:
    """Raise ModelError unless a tensor has this shape."""
    found = checkpoint.shape(name)
    if found != shape:
        raise ModelError(
            f"{checkpoint.source}: {name} is of shape {list(found)} and should be {list(shape)}; "
            "the weights do not belong to the configuration"
        )


def check_texts(checkpoint: Checkpoint) -> None:
    """Raise ModelError where tokenizer, template and weights do not belong together."""
    vocabulary = checkpoint.architecture.vocabulary
    tokens = load_tokenizer(checkpoint.texts.tokenizer, checkpoint.source).get_vocab()
    highest = max(tokens.values(), default=-1)
    if not 0 <= highest < vocabulary:
        raise ModelError(
            f"{checkpoint.source}: the tokenizer does not fit: it has tokens up to {highest}, the "
            f"weights know {vocabulary}; get both from the same place"
        )
    ends = checkpoint.texts.eos
    known = set(tokens.values())
    if not ends or not known.issuperset(ends):
        raise ModelError(
            f"{checkpoint.source}: the tokens that end a text are {list(ends)}, and the tokenizer "
            "must know at least one and all of them; check eos_token_id in config.json and "
            "generation_config.json"
        )
    begin = checkpoint.texts.bos
    if begin is not None and begin not in known:
        raise ModelError(
            f"{checkpoint.source}: the token that begins a text is {begin}, which the tokenizer "
            "does not know; check bos_token_id in config.json"
        )
    try:
        ChatTemplate(checkpoint.texts.template, bos="", eos="").check()
    except ModelError as error:
        raise ModelError(f"{checkpoint.source}: {error}; get another version of it") from error
