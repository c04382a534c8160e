"""ROUGE-L recall, by hand and compared with rouge_score."""

import random

import pytest
from rouge_score.rouge_scorer import RougeScorer

from unlearning.evaluation.rouge import common_subsequence, rouge_l_recall


@pytest.mark.parametrize(
    ("expected", "generated", "recall"),
    [
        # the, brown: 2 of 4 words in order
        ("the quick brown fox", "the brown", 0.5),
        ("the quick brown fox", "fox the brown", 0.5),
        ("the quick brown fox", "a the quick brown fox jumps", 1.0),
        # stems: cats -> cat, jumping and jumps -> jump
        ("the cats", "The CAT!", 1.0),
        ("jumping foxes", "jumps wolf", 0.5),
        # words of up to three letters are not stemmed: gas, but gases -> gase
        ("no gas", "no gases", 0.5),
        ("...", "anything", 0.0),
        ("words", "", 0.0),
    ],
)
def test_recall(expected: str, generated: str, recall: float) -> None:
    """The recall of each pair of texts is worked out by hand."""
    assert rouge_l_recall(expected, generated) == recall


def test_common_subsequence() -> None:
    """The lengths of the longest common subsequences are known."""
    assert common_subsequence("abcbdab", "bdcaba") == 4
    assert common_subsequence("", "abc") == common_subsequence("abc", "") == 0
    assert common_subsequence("aaa", "aa") == 2


def test_recall_is_that_of_rouge_score() -> None:
    """The recall of random texts is that of rouge_score."""
    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    rng = random.Random(0)
    words = ["running", "runs", "cities", "city", "a", "The", "don't", "41", "naïve", "e-mail", "."]
    for _ in range(200):
        expected, generated = (" ".join(rng.choices(words, k=rng.randrange(40))) for _ in range(2))
        assert rouge_l_recall(expected, generated) == scorer.score(expected, generated)["rougeL"].recall
