"""From generated tokens to the text that the official evaluator scores, and to the part of it that is stable."""

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

Done here because transformers 5 ignores that argument for BPE tokenizers, and the official scores were made with it.
"""
CSV_MISSING = frozenset(
    {"", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>"}
    | {"N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"}
)
"""Cells that pandas.read_csv takes for a missing value."""
BYTE_TOKEN = re.compile(r"<0x[0-9A-F]{2}>")
FALLBACK_DECODERS = ("Replace", "ByteFallback", "Fuse", "Strip")


def through_csv(text: str) -> str:
    """The text after the official evaluator's way through a CSV file: "nan" for an empty one and for "NA", "None", ...

    Not imitated: a whole column of numbers would come back reformatted; real answers never make such a column.
    """
    return "nan" if text in CSV_MISSING else text


def clean_up(text: str) -> str:
    """Spaces before punctuation and contractions removed, as the official evaluator's decoding did."""
    for pattern, replacement in CLEAN_UP:
        text = text.replace(pattern, replacement)
    return text


def official_text(tokenizer: PreTrainedTokenizerBase, tokens: Sequence[int]) -> str:
    """The tokens as text: special tokens left out, spaces cleaned up."""
    raw: str = tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return clean_up(raw)


def stable_clean_up(raw: str) -> str:
    """The longest text known to begin `clean_up(raw + more)`, whatever more is.

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
    """What `official_text` of some tokens begins with, whatever tokens follow them.

    Characters of several tokens are held back until they are whole. Only decoders are trusted that work from left to
    right: byte-level ones, and the SentencePiece kind with byte fallback; of any other tokenizer nothing counts as
    stable, which costs time and never a score.
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
        """The stable beginning; empty where nothing is stable."""
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
    """Whether the decoder is a sequence of left-to-right steps in the order that SentencePiece models have them."""
    steps = decoder.get("decoders")
    if decoder.get("type") != "Sequence" or not isinstance(steps, list):
        return False
    kinds = [step["type"] for step in steps]
    merge_shares = kinds == [kind for kind in FALLBACK_DECODERS if kind in kinds]
    return merge_shares and all(step.get("stop", 0) == 0 for step in steps)
