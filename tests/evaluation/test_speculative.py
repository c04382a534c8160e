"""Draft tokens: where they come from."""

from unlearning.evaluation.speculative import draft_tokens, repeated_period


def test_a_draft_follows_the_expected_answer_as_long_as_the_tokens_do() -> None:
    """A draft continues a likely answer that begins with all tokens so far."""
    answer = list(range(10, 30))
    assert draft_tokens([10, 11], [answer]) == [12, 13, 14, 15, 16, 17, 18]
    assert draft_tokens(answer[:18], [answer]) == [28, 29]
    assert draft_tokens([10, 99], [answer]) == []
    assert draft_tokens([], [answer]) == []
    assert draft_tokens([5], [answer, [5, 6]]) == [6]


def test_a_draft_repeats_the_last_period() -> None:
    """A draft repeats the shortest period that the tokens end with."""
    assert repeated_period([9, 4, 4, 4, 4]) == [4] * 7
    assert repeated_period([9, 4, 4, 4]) == []
    assert repeated_period([1, 2, 3, 9, 1, 2, 3]) == []
    assert repeated_period([7, 1, 2, 3, 1, 2, 3]) == [1, 2, 3, 1, 2, 3, 1]
    assert repeated_period([]) == []
