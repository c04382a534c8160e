"""The text that is scored, and its stable part."""

import random

import pytest
from pandas._libs.parsers import STR_NA_VALUES
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tests.evaluation.tiny import TEXTS, byte_tokenizer
from unlearning.evaluation.text import (
    CLEAN_UP,
    CSV_MISSING,
    StableText,
    clean_up,
    official_text,
    stable_clean_up,
    through_csv,
)


def fallback_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer like SentencePiece's: pieces with ▁ for a space, and single bytes for the rest."""
    pieces = ["<s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "▁the", "cat", "A", ".", "▁."]
    tokenizer = Tokenizer(
        models.BPE(vocab={piece: index for index, piece in enumerate(pieces)}, merges=[], byte_fallback=True)
    )
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>")


def wordpiece_tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.WordPiece({"[UNK]": 0, "the": 1, "##s": 2, "cat": 3}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.decoder = decoders.WordPiece()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("Well , it 's here .", "Well, it's here."),
        ("do n't", "don't"),
        ("a ' b", "a'b"),
        ("  .", " ."),
        ("as it is", "as it is"),
    ],
)
def test_clean_up(raw: str, cleaned: str) -> None:
    """Spaces before punctuation and contractions are removed."""
    assert clean_up(raw) == cleaned


def test_clean_up_is_what_transformers_does() -> None:
    """The text is cleaned up as by transformers, on random texts."""
    tokenizer = byte_tokenizer()
    rng = random.Random(0)
    for _ in range(200):
        text = "".join(rng.choices([" ", ".", "'", "n", "t", "s", "m", "?", "a", ",", "ve", "re"], k=12))
        assert clean_up(text) == tokenizer.clean_up_tokenization(text)


def test_the_stable_part_begins_every_continuation() -> None:
    """Every continuation of a text begins with its stable part once both are cleaned up."""
    rng = random.Random(1)
    pieces = [" ", " ", "'", ".", "n", "t", "'s", "ve", "r", "e", "m", "a", *(pattern for pattern, _ in CLEAN_UP)]
    for _ in range(3000):
        begin = "".join(rng.choices(pieces, k=rng.randrange(6)))
        stable = stable_clean_up(begin)
        assert clean_up(begin + "".join(rng.choices(pieces, k=rng.randrange(5)))).startswith(stable)
    assert stable_clean_up("it") == "it"
    assert stable_clean_up("it ") == "it"


@pytest.mark.parametrize("make", [byte_tokenizer, fallback_tokenizer, wordpiece_tokenizer])
def test_stable_text_begins_the_text_of_every_continuation(make: object) -> None:
    """The text of all tokens begins with the stable text of the first of them."""
    tokenizer = make()
    stable_text = StableText(tokenizer)
    rng = random.Random(2)
    whole = [tokenizer(text)["input_ids"] for text in TEXTS]
    for _ in range(1500):
        some = [rng.randrange(len(tokenizer)) for _ in range(8)]
        tokens = rng.choice([some, rng.choice(whole)])
        cut = rng.randrange(len(tokens) + 1)
        stable = stable_text(tokens[:cut])
        assert official_text(tokenizer, tokens).startswith(stable)


def test_stable_text_waits_for_whole_characters() -> None:
    """A character of several tokens is stable once it is whole."""
    tokenizer = byte_tokenizer()
    tokens = tokenizer("a🙂b")["input_ids"]
    stable_text = StableText(tokenizer)
    seen = [stable_text(tokens[:cut]) for cut in range(len(tokens) + 1)]
    assert seen[-1] == "a🙂b"
    assert set(seen) <= {"", "a", "a🙂", "a🙂b"}


def test_stable_text_trusts_known_decoders_only() -> None:
    """A tokenizer with another decoder has no stable text."""
    assert StableText(byte_tokenizer()).trusted
    assert StableText(fallback_tokenizer()).trusted
    assert not StableText(wordpiece_tokenizer()).trusted
    assert StableText(wordpiece_tokenizer())([1, 2]) == ""


def test_an_empty_text_becomes_nan_on_its_way_through_csv() -> None:
    """Exactly the texts that pandas reads as missing become "nan"."""
    assert through_csv("") == "nan"
    assert through_csv("None") == "nan"
    assert through_csv(" ") == " "
    assert set(STR_NA_VALUES) == CSV_MISSING
