"""The words of a text in any script, for rows whose ROUGE is not the official one.

The official tokenizer of rouge_score knows a-z and 0-9 alone: of Cyrillic, Greek or Chinese it keeps nothing, and cuts
"naïve" in two. Of a text in ASCII, `unicode_words` returns what the official tokenizer returns, stems included.
"""

import unicodedata

import regex

from unlearning.data.words import WORD
from unlearning.evaluation.rouge import words

UNFINISHED_WORD = regex.compile(r"[\p{L}\p{M}\p{N}]+\Z")
"""What further text may still change: the letters, marks and digits at the end."""


def unicode_words(text: str) -> list[str]:
    """Return the text's words without regard to case: runs of letters, their marks, and digits (Unicode categories L,
    M and N), or single characters with their marks in scripts without spaces (`data.words`).

    Accents count, however they are encoded (normal form C). Words of ASCII letters are stemmed as officially.
    """
    found = WORD.findall(unicodedata.normalize("NFC", text.casefold()))
    return [stem for word in found for stem in (words(word) if word.isascii() else [word])]


def characters(text: str) -> list[str]:
    """Return the text's characters without white space, for texts that have no word, such as "?!" and emoji."""
    return [character for character in text if not character.isspace()]
