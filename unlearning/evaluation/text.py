"""From generated tokens to the text that the official evaluator scores, and to its stable part.

The stable part of a text is the beginning that no further token can change.
"""

import json
import re
from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

CLEAN_UP = (
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
)
"""What `clean_up_tokenization_spaces=True` replaces, in this order (transformers 4.48, PreTrainedTokenizerBase).

It is done here because transformers 5 ignores that argument for BPE tokenizers, and the official scores were made with
it.
"""
CSV_MISSING = frozenset(
    {"", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>"}
    | {"N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"}
)
"""Cells that pandas.read_csv reads as a missing value."""
BYTE_TOKEN = re.compile(r"<0x[0-9A-F]{2}>")
FALLBACK_DECODERS = ("Replace", "ByteFallback", "Fuse", "Strip")


def through_csv(text: str) -> str:
    """Return the text as the official evaluator reads it back from its CSV file.

    An empty text, "NA", "None" and the like become "nan". A column of nothing but numbers would also be reformatted
    there; this is not imitated, since real answers never make such a column.
    """
    return "nan" if text in CSV_MISSING else text


def clean_up(text: str) -> str:
    """Return the text without spaces before punctuation and contractions, as the official evaluator decoded it."""
    for pattern, replacement in CLEAN_UP:
        text = text.replace(pattern, replacement)
    return text


def official_text(tokenizer: PreTrainedTokenizerBase, tokens: Sequence[int]) -> str:
    """Return the tokens as text, without special tokens and with spaces cleaned up."""
    raw: str = tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return clean_up(raw)


def stable_clean_up(raw: str) -> str:
    """Return the longest text that `clean_up(raw + more)` is known to begin with, whatever `more` is.

    Each replacement holds back an ending in which its pattern may have begun.
    """
    for pattern, replacement in CLEAN_UP:
        raw = raw.replace(pattern, replacement)
        for length in range(len(pattern) - 1, 0, -1):
            if raw.endswith(pattern[:length]):
                raw = raw[:-length]
                break
    return raw


class StableText:
    """The beginning of `official_text` of some tokens that stays the same, whatever tokens follow them.

    Characters of several tokens are held back until they are whole. Only decoders that work from left to right are
    trusted: byte-level ones, and those of SentencePiece with byte fallback. For any other tokenizer nothing counts as
    stable, which takes more time and changes no score.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        backend = getattr(tokenizer, "backend_tokenizer", None)
        decoder = {} if backend is None else json.loads(backend.to_str())["decoder"] or {}
        self.tokenizer = tokenizer
        self.trusted = decoder.get("type") == "ByteLevel" or _is_byte_fallback(decoder)
        added = tokenizer.added_tokens_decoder
        self.held = frozenset(tokenizer.all_special_ids) | {index for index in added if added[index].special}
        if self.trusted and decoder.get("type") != "ByteLevel":
            vocabulary: dict[str, int] = tokenizer.get_vocab()
            self.held |= {index for token, index in vocabulary.items() if BYTE_TOKEN.fullmatch(token)}

    def __call__(self, tokens: Sequence[int]) -> str:
        """Return the stable beginning of the tokens' text; empty where nothing is stable."""
        if not self.trusted:
            return ""
        end = len(tokens)
        while end and tokens[end - 1] in self.held:
            end -= 1
        raw: str = self.tokenizer.decode(
            list(tokens[:end]), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return stable_clean_up(raw.rstrip("\N{REPLACEMENT CHARACTER}"))


def _is_byte_fallback(decoder: dict[str, object]) -> bool:
    """Return whether the decoder has only left-to-right steps, in the order in which SentencePiece models have them."""
    steps = decoder.get("decoders")
    if decoder.get("type") != "Sequence" or not isinstance(steps, list):
        return False
    kinds = [step["type"] for step in steps]
    in_order = kinds == [kind for kind in FALLBACK_DECODERS if kind in kinds]
    return in_order and all(step.get("stop", 0) == 0 for step in steps)
