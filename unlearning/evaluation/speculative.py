"""Draft tokens for speculative decoding: what a model probably says next, checked several tokens at a time.

A draft token is accepted only if it is the model's most likely token, so the result is exactly that of greedy decoding,
and a wrong draft costs only time. Two kinds of drafts are mostly right: a model that remembers a row says the expected
answer, and a collapsed model repeats itself.
"""

from collections.abc import Sequence

MAX_DRAFT_TOKENS = 7
"""Most draft tokens that are checked in one pass."""
LONGEST_PERIOD_TOKENS = 32
"""Longest repetition that is looked for."""
REPEATED_TOKENS = 3
"""Tokens that must have been repeated before a draft repeats them again; the whole period if that is longer."""


def draft_tokens(tokens: Sequence[int], likely_answers: Sequence[Sequence[int]]) -> list[int]:
    """Return up to MAX_DRAFT_TOKENS tokens that probably follow; empty where nothing suggests any.

    They continue the first of the likely answers that begins with all the tokens so far; if there is none, they repeat
    the period that the tokens end with.
    """
    done = len(tokens)
    if not done:
        return []
    for answer in likely_answers:
        if len(answer) > done and list(answer[:done]) == list(tokens):
            return list(answer[done : done + MAX_DRAFT_TOKENS])
    return repeated_period(tokens)


def repeated_period(tokens: Sequence[int]) -> list[int]:
    """Return MAX_DRAFT_TOKENS tokens that continue the shortest period which the tokens end with; empty without one."""
    last = tokens[-1:]
    for period in range(1, min(LONGEST_PERIOD_TOKENS, len(tokens) - REPEATED_TOKENS) + 1):
        length = max(period, REPEATED_TOKENS)
        if tokens[-1 - period : -period] == last and tokens[-length:] == tokens[-length - period : -period]:
            return (list(tokens[-period:]) * MAX_DRAFT_TOKENS)[:MAX_DRAFT_TOKENS]
    return []
