"""Guesses at what a model says next, to be checked several at a time; a wrong guess costs time, never a token.

A guessed token stays only if it is the arg max, so the result is greedy decoding. Two likely_answers are mostly right: a
remembered row follows the expected answer, and a collapsed model repeats itself.
"""

from collections.abc import Sequence

MAX_DRAFT_TOKENS = 7
"""Tokens guessed at a time."""
LONGEST_PERIOD_TOKENS = 32
REPEATED_TOKENS = 3
"""Tokens that must have come back before a period is believed, or the whole period if that is longer."""


def draft_tokens(tokens: Sequence[int], likely_answers: Sequence[Sequence[int]]) -> list[int]:
    """Up to MAX_DRAFT_TOKENS tokens that may follow; empty where nothing suggests any.

    The rest of the first guess that begins with all the tokens so far, else the tokens' own last period.
    """
    done = len(tokens)
    if not done:
        return []
    for guess in likely_answers:
        if len(guess) > done and list(guess[:done]) == list(tokens):
            return list(guess[done : done + MAX_DRAFT_TOKENS])
    return repeated_period(tokens)


def repeated_period(tokens: Sequence[int]) -> list[int]:
    """MAX_DRAFT_TOKENS more of the shortest period that the tokens end in; empty if they end in none."""
    last = tokens[-1:]
    for period in range(1, min(LONGEST_PERIOD_TOKENS, len(tokens) - REPEATED_TOKENS) + 1):
        length = max(period, REPEATED_TOKENS)
        if tokens[-1 - period : -period] == last and tokens[-length:] == tokens[-length - period : -period]:
            return (list(tokens[-period:]) * MAX_DRAFT_TOKENS)[:MAX_DRAFT_TOKENS]
    return []
