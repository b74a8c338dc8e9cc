"""What `assistant bench llm` finds out about a model, figure by figure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Final

from tokenizers import Tokenizer

from assistant.cli.bench_turn import Turn
from assistant.llm.chat import ChatTemplate, encode, static_prefix
from assistant.llm.decoder import Runtime
from assistant.llm.directory import ModelDirectory
from assistant.llm.drafting import Acceptance, Costs
from assistant.llm.grammar import Grammar, Grammars
from assistant.llm.measure.script import Played, draft_gain, own_answer, play, scripted
from assistant.llm.measure.speed import (
    Measured,
    draft_time,
    mask_times,
    pass_times,
    prefill_time,
    prefix_restore,
    resident,
    timed,
)

_PREFIX: Final = 1000
_PREFILLED: Final = (64, 512)
_PASSES: Final = (1, 2, 3, 4, 6, 8)
_CHUNK: Final = 1 << 24


@dataclass(frozen=True, slots=True)
class Subject:
    """What is measured. `trained`: its own answers mean something, too."""

    directory: ModelDirectory
    tokenizer: Tokenizer
    template: ChatTemplate
    turns: tuple[Turn, ...]
    trained: bool


@dataclass(frozen=True, slots=True)
class Figure:
    """One result: its name and value for programs (seconds, bytes, shares), and for people."""

    key: str
    value: float
    label: str
    shown: str


@dataclass(frozen=True, slots=True)
class _Timed:
    """A turn: seconds to read what was said before the last word, then the answer's course.

    `first`: seconds from the end of the utterance until there was something to do or to say.
    """

    turn: Turn
    early: int
    reading: float
    first: float
    last: Played


def figures(
    subject: Subject, runtime: Runtime, acceptance: float, tell: Callable[[str], None]
) -> Iterator[Figure]:
    """All there is to know, in the order of the report. `tell` hears what is being measured.

    `acceptance`: how often the MTP layer's guesses are taken to be right.
    """
    directory = subject.directory
    tell("reading the files, so that they are in memory")
    for file in sorted(directory.folder.glob("*.data")):
        _read(file)
    tell("loading")
    seconds, decoder = timed(lambda: Measured(directory, runtime))
    yield Figure("load_s", seconds, "load, files in memory already", f"{seconds:.1f} s")
    decoder.settle()
    yield _memory("resident_loaded", "memory of the process then", resident())
    yield from _parts(decoder, acceptance, tell)
    yield from _prompts(subject, decoder, acceptance, tell)
    yield _memory("resident_after", "memory of the process after all that", resident())
    kv = 1000 * directory.architecture.kv_bytes
    yield _memory("kv_1000", "  of it the KV cache, for each 1000 tokens", kv)


def _parts(decoder: Measured, acceptance: float, tell: Callable[[str], None]) -> Iterator[Figure]:
    for tokens in _PREFILLED:
        if tokens < decoder.context:
            tell(f"reading {tokens} tokens")
            rate = tokens / prefill_time(decoder, tokens, repeat=3 if tokens < 256 else 1)
            yield Figure(f"prefill_{tokens}", rate, f"read {tokens} tokens", f"{rate:.1f} tokens/s")
    tell("single passes")
    passes = pass_times(decoder, _PASSES)
    one = passes[1]
    yield _ms("decode_s", "one token, no guesses", one)
    for count in _PASSES[1:]:
        share = passes[count] / one
        yield Figure(
            f"pass_{count}", share, f"  {count} tokens in one pass", f"{share:.2f} of that"
        )
    if not decoder.drafts:
        return
    draft = draft_time(decoder)
    yield _ms("draft_s", "guess of the MTP layer", draft, f", {draft / one:.2f} of a token")
    tell("with drafts and without")
    gain = draft_gain(decoder, acceptance)
    ratio = gain.plain / gain.drafted
    label = f"one token, {acceptance:.0%} of the first guesses right"
    yield _ms("drafted_s", label, gain.drafted, f", {ratio:.2f} times as fast")
    yield Figure("draft_gain", ratio, "  passes a token", f"{gain.passes:.2f}")


def _prompts(
    subject: Subject, decoder: Measured, acceptance: float, tell: Callable[[str], None]
) -> Iterator[Figure]:
    tokenizer, turns = subject.tokenizer, subject.turns
    vocabulary = subject.directory.architecture.vocabulary
    seconds, grammars = timed(lambda: Grammars(tokenizer, vocabulary, subject.directory.eos))
    yield Figure("grammars_s", seconds, "grammars, set up", f"{seconds:.1f} s")
    seconds, _ = timed(lambda: grammars.compile(turns[0].schema))
    yield _ms("grammar_s", "grammar of the home", seconds)
    compiled = [grammars.compile(turn.schema) for turn in turns]
    answers = [scripted(tokenizer, g, t.answer) for g, t in zip(compiled, turns, strict=True)]
    masks = sorted(mask_times(zip(compiled, answers, strict=True)))
    yield _ms("mask_s", "  mask, median", statistics.median(masks))
    yield _ms("mask_p99_s", "  mask, 99th percentile", masks[int(0.99 * (len(masks) - 1))])

    tell("the rules and the home")
    system = static_prefix(tokenizer, subject.template, turns[0].messages[:1])
    # What follows it stands for the dialogue so far.
    length = min(max(_PREFIX, len(system)), decoder.context)
    prefix = (system * (1 + length // len(system)))[:length]
    restored = prefix_restore(decoder, prefix)
    label = f"rules, home and dialogue, {length} tokens"
    yield Figure("prefix_s", restored.computed, f"{label}: read", f"{restored.computed:.1f} s")
    yield _ms("prefix_restored_s", "  restored from disk", restored.restored)

    costs, rates = Costs(), Acceptance()
    done: list[_Timed] = []
    for _ in range(2):  # in the first round it learns what passes cost and what guesses are worth
        done.clear()
        for turn, grammar, answer in zip(turns, compiled, answers, strict=True):
            tell(f"“{turn.said}”")
            decoder.rollback(len(system))
            done.append(_turn(subject, decoder, turn, grammar, answer, acceptance, costs, rates))
    for timed_ in done:
        yield from _shown(timed_)
    acting = [one.last for one in done if not one.turn.speaks]
    passes, tokens = sum(p.passes for p in acting), sum(len(p.tokens) for p in acting)
    share = passes / tokens
    yield Figure("act_passes", share, "passes a token, of the turns that act", f"{share:.2f}")
    if subject.trained:
        tell("an answer of its own")
        decoder.rollback(len(system))
        tail = encode(tokenizer, subject.template, turns[-1].messages)[len(system) :]
        own = own_answer(decoder, tail, subject.directory.eos)
        tokens = max(1, len(own[-1].tokens) - 1)
        seconds = (own[-1].seconds - own[0].seconds) / tokens
        passes_ = own[-1].passes / tokens
        yield _ms("own_s", "its own words, one token", seconds, f", {passes_:.2f} passes")


def _turn(
    subject: Subject,
    decoder: Measured,
    turn: Turn,
    grammar: Grammar,
    answer: Sequence[int],
    acceptance: float,
    costs: Costs,
    rates: Acceptance,
) -> _Timed:
    """The turn, with the decoder at the end of the rules and the home."""
    prompt = encode(subject.tokenizer, subject.template, turn.messages)
    partial = encode(subject.tokenizer, subject.template, turn.partial)
    heard = _shared(partial, prompt)
    early = prompt[len(decoder.tokens) : heard]
    reading, _ = timed(lambda: decoder.prefill(early))
    played = list(
        play(
            decoder,
            prompt[heard:],
            answer,
            grammar=grammar,
            acceptance=acceptance,
            costs=costs,
            rates=rates,
        )
    )
    reader = turn.reader()
    for step in played:
        text = subject.tokenizer.decode(list(step.tokens), skip_special_tokens=False)
        if reader.ready(text):
            return _Timed(turn, len(early), reading, step.seconds, played[-1])
    return _Timed(turn, len(early), reading, played[-1].seconds, played[-1])


def _shown(timed_: _Timed) -> Iterator[Figure]:
    turn, last = timed_.turn, timed_.last
    what = "sentence" if turn.speaks else "action"
    first = f"first {what} after {timed_.first:.2f} s, all after {last.seconds:.2f} s"
    yield Figure(f"{turn.name}_first_s", timed_.first, f"“{turn.said}”", first)
    late = timed_.reading + timed_.first
    label = f"  its {timed_.early} tokens not read while it was said"
    yield Figure(f"{turn.name}_late_s", late, label, f"first {what} after {late:.2f} s")
    share = last.passes / len(last.tokens)
    shown = f"{share:.2f} ({last.passes} for {len(last.tokens)} tokens)"
    yield Figure(f"{turn.name}_passes", share, "  passes a token", shown)


def _shared(a: Sequence[int], b: Sequence[int]) -> int:
    """How many tokens two prompts have in common at their beginnings."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))


def _ms(key: str, label: str, seconds: float, more: str = "") -> Figure:
    digits = 1 if seconds >= 0.01 else 3
    return Figure(key, seconds, label, f"{1000 * seconds:.{digits}f} ms{more}")


def _memory(key: str, label: str, size: int) -> Figure:
    return Figure(key, size, label, f"{size / 1e9:.2f} GB")


def _read(file: Path) -> None:
    with file.open("rb", buffering=0) as source:
        while source.read(_CHUNK):
            pass
