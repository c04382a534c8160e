"""Guesses at what a model says next, to be checked several at a time; a wrong guess costs time, never a token.

A guessed token stays only if it is the arg max, so the result is greedy decoding. Two guesses are mostly right: a
remembered row follows the expected answer, and a collapsed model repeats itself.
"""

from collections.abc import Sequence

DRAFT_TOKENS = 7
"""Tokens guessed at a time."""
LONGEST_PERIOD = 32
REPEATED_TOKENS = 3
"""Tokens that must have come back before a period is believed, or the whole period if that is longer."""


def draft(tokens: Sequence[int], guesses: Sequence[Sequence[int]]) -> list[int]:
    """Up to DRAFT_TOKENS tokens that may follow; empty where nothing suggests any.

    The rest of the first guess that begins with all the tokens so far, else the tokens' own last period.
    """
    done = len(tokens)
    if not done:
        return []
    for guess in guesses:
        if len(guess) > done and list(guess[:done]) == list(tokens):
            return list(guess[done : done + DRAFT_TOKENS])
    return repetition(tokens)


def repetition(tokens: Sequence[int]) -> list[int]:
    """DRAFT_TOKENS more of the shortest period that the tokens end in; empty if they end in none."""
    last = tokens[-1:]
    for period in range(1, min(LONGEST_PERIOD, len(tokens) - REPEATED_TOKENS) + 1):
        length = max(period, REPEATED_TOKENS)
        if tokens[-1 - period : -period] == last and tokens[-length:] == tokens[-length - period : -period]:
            return (list(tokens[-period:]) * DRAFT_TOKENS)[:DRAFT_TOKENS]
    return []
