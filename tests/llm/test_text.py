from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from assistant.llm.text import StopTexts, TextStream, ThinkFilter, Thought
from tests.llm.bytelevel import tokenizer

TOKENS = tokenizer()
END = TOKENS.token_to_id("<|im_end|>")


def by_bytes() -> Tokenizer:
    """As SentencePiece's: spaces are part of words, unknown characters are bytes."""
    pieces = [f"<0x{byte:02X}>" for byte in range(256)] + ["▁", "a", "▁a", "b", "▁b"]
    made = Tokenizer(
        models.BPE(
            {piece: number for number, piece in enumerate(["<unk>", *pieces])},
            [("▁", "a"), ("▁", "b")],
            unk_token="<unk>",
            byte_fallback=True,
        )
    )
    made.pre_tokenizer = pre_tokenizers.Metaspace(split=False)
    made.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return made


BYTES = by_bytes()

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd"))


def cut(length: int, cuts: list[int]) -> list[slice]:
    """Pieces of something so long, cut at some places."""
    places = [0, *sorted(c % (length + 1) for c in cuts), length]
    return [slice(a, b) for a, b in itertools.pairwise(places)]


@pytest.mark.parametrize("tokens", [TOKENS, BYTES], ids=["byte-level", "byte-fallback"])
@given(text=texts, cuts=st.lists(st.integers(0, 999), max_size=8))
def test_the_pieces_make_the_text(tokens: Tokenizer, text: str, cuts: list[int]) -> None:
    ids = tokens.encode(text, add_special_tokens=False).ids
    stream = TextStream(tokens)
    pieces = [stream.feed(ids[piece]) for piece in cut(len(ids), cuts)]
    assert "".join(pieces) == tokens.decode(ids)
    assert stream.finish() == ""


@given(texts)
def test_one_token_at_a_time_shows_each_character_as_soon_as_it_is_whole(text: str) -> None:
    ids = TOKENS.encode(text, add_special_tokens=False).ids
    stream = TextStream(TOKENS)
    shown = ""
    for count, token in enumerate(ids, 1):
        shown += stream.feed([token])
        assert shown == TOKENS.decode(ids[:count]).rstrip("\ufffd")


@given(st.lists(st.integers(0, TOKENS.get_vocab_size() - 1), max_size=200))
def test_whatever_tokens_come_the_pieces_are_their_text(ids: list[int]) -> None:
    stream = TextStream(TOKENS)
    pieces = [stream.feed([token]) for token in ids]
    assert "".join([*pieces, stream.finish()]) == TOKENS.decode(ids)


def byte(value: int) -> int:
    """The token that is this byte alone, of those that byte-level tokens write as themselves."""
    number = TOKENS.token_to_id(chr(value))
    assert number is not None
    return number


@pytest.mark.parametrize(
    ("fed", "shown"),
    [
        ([0xC3], [""]),
        ([0xC3, 0xA9], ["", "é"]),
        ([0xA9, 0xA9], ["", ""]),
        ([0xC3, 0xC3, 0xA9], ["", "", "\ufffdé"]),
    ],
)
def test_a_part_of_a_character_is_not_shown(fed: list[int], shown: list[str]) -> None:
    stream = TextStream(TOKENS)
    assert [stream.feed([byte(value)]) for value in fed] == shown


def test_what_never_became_a_character_is_shown_at_the_end() -> None:
    stream = TextStream(TOKENS)
    assert stream.feed([byte(0xC3)]) == ""
    assert stream.finish() == "\ufffd"
    assert stream.finish() == ""


def test_endless_garbage_is_not_held_for_ever() -> None:
    stream = TextStream(TOKENS)
    shown = [stream.feed([byte(0xA9)]) for _ in range(10_000)]
    assert 9_900 < len("".join(shown)) < 10_000
    assert stream.feed([byte(0xC3), byte(0xA9)]).strip("\ufffd") == "é"


def test_special_tokens_are_not_shown_and_thinking_marks_are() -> None:
    ids = TOKENS.encode("<|im_start|>a <think>b</think> c<|im_end|>").ids
    assert END in ids
    assert TextStream(TOKENS).feed(ids) == "a <think>b</think> c"
    special = tokenizer(("<|im_end|>", "<think>", "</think>"), plain=())
    ids = special.encode("<think>b</think> c<|im_end|>").ids
    assert TextStream(special).feed(ids) == "<think>b</think> c"


@pytest.mark.parametrize(
    ("stops", "fed", "shown", "stopped"),
    [
        ((), ["a", "b"], ["a", "b"], False),
        (("",), ["a"], ["a"], False),
        (("END",), ["some END more"], ["some "], True),
        (("END",), ["some E", "N", "D", "x"], ["some ", "", "", ""], True),
        (("END",), ["some E", "N", "x"], ["some ", "", "ENx"], False),
        (("aab",), ["aa", "a", "b"], ["", "a", ""], True),
        (("x", "yx"), ["ay", "x"], ["a", ""], True),
        # The stop that is complete first ends the text, not the one that began first.
        (("abcd", "c"), ["abcd"], ["ab"], True),
        (("abcd", "c"), ["ab", "cd"], ["", "ab"], True),
        (("\n\n",), ["one\n", "two\n", "\n"], ["one", "\ntwo", ""], True),
    ],
)
def test_text_ends_before_a_stop_text(
    stops: tuple[str, ...], fed: list[str], shown: list[str], stopped: bool
) -> None:
    matcher = StopTexts(stops)
    results = [matcher.feed(text) for text in fed]
    assert [text for text, _ in results] == shown
    assert results[-1][1] is stopped


def test_what_was_held_back_comes_at_the_end() -> None:
    matcher = StopTexts(["END"])
    assert matcher.feed("the EN") == ("the ", False)
    assert matcher.finish() == "EN"
    assert matcher.finish() == ""


def first_complete(text: str, stops: list[str]) -> tuple[str, bool]:
    for end in range(len(text) + 1):
        for stop in sorted(stops, key=len, reverse=True):
            if stop and text[:end].endswith(stop):
                return text[: end - len(stop)], True
    return text, False


@given(
    st.text("ab", max_size=30),
    st.lists(st.text("ab", max_size=4), max_size=3),
    st.lists(st.integers(0, 999), max_size=8),
)
def test_stops_do_not_depend_on_the_pieces(text: str, stops: list[str], cuts: list[int]) -> None:
    matcher = StopTexts(stops)
    shown, stopped = "", False
    for piece in cut(len(text), cuts):
        part, stopped = matcher.feed(text[piece])
        shown += part
    assert (shown + matcher.finish(), stopped) == first_complete(text, stops)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("plain", "plain"),
        ("", ""),
        ("<think>\nhm\n</think>\n\nYes.", "Yes."),
        ("<think>\n\n</think>\n\nYes. \n", "Yes. \n"),
        ("Well, <think>hm</think> yes.", "Well, yes."),
        ("<think>never ended, </thin", ""),
        ("<think>a<think>b</think>c", "c"),
        ("no thought</think> here", "no thought here"),
        ("<think>a</think> <think>b</think> c", "c"),
        ("1 <thin 2 < 3", "1 <thin 2 < 3"),
        ("<<think>x</think>>", "<>"),
        ("ends with <thi", "ends with <thi"),
        (" led", " led"),
    ],
)
@given(cuts=st.lists(st.integers(0, 999), max_size=8))
def test_thoughts_are_left_out_however_they_are_cut(
    text: str, answer: str, cuts: list[int]
) -> None:
    thoughts = ThinkFilter()
    pieces = [thoughts.feed(text[piece]) for piece in cut(len(text), cuts)]
    assert "".join([*pieces, thoughts.finish()]) == answer


def test_a_thought_that_the_prompt_opened() -> None:
    thoughts = ThinkFilter(inside=True)
    assert thoughts.inside
    assert thoughts.feed("hm, </th") == ""
    assert thoughts.inside
    assert thoughts.feed("ink>\n") == ""
    assert not thoughts.inside
    assert thoughts.feed("\nYes <") == "Yes "
    assert thoughts.finish() == "<"


@pytest.mark.parametrize("at_once", [1, 2, 5, 50])
@pytest.mark.parametrize(
    ("text", "thought"),
    [
        ("Hm.</think>Yes.", "Hm.</think>"),
        ("Hm.\n</think>\n\nIt is raining.", "Hm.\n</think>"),
        ("No end </thin", None),
        ("</think></think>", "</think>"),
        ("é🙂</think>é🙂", "é🙂</think>"),
    ],
)
def test_a_thought_ends_with_its_mark(text: str, thought: str | None, at_once: int) -> None:
    """However many tokens come at once: those after the mark are the answer's."""
    ids = TOKENS.encode(text, add_special_tokens=False).ids
    thinking = Thought(TOKENS)
    ended = any(thinking.feed(ids[at : at + at_once]) for at in range(0, len(ids), at_once))
    assert ended == (thought is not None)
    assert TOKENS.decode(thinking.tokens, skip_special_tokens=False) == (thought or text)
