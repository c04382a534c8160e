"""ROUGE-L recall, by hand and compared with rouge_score."""

import random
from itertools import combinations

import pytest
from rouge_score.rouge_scorer import RougeScorer

from unlearning.evaluation.rouge import common_pairs, common_subsequence, rouge_l_recall


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


def test_common_pairs_against_all_subsequences() -> None:
    """The pairs are equal words in rising order, and as many as the longest that trying all of them finds."""
    source = random.Random(0)
    for _ in range(60):
        first, second = (source.choices("abc", k=source.randint(0, 6)) for _ in range(2))
        pairs = common_pairs(first, second)
        assert all(first[i] == second[j] for i, j in pairs)
        assert pairs == sorted(set(pairs))
        assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
        best = max(
            size
            for size in range(min(len(first), len(second)) + 1)
            for left in combinations(range(len(first)), size)
            for right in combinations(range(len(second)), size)
            if all(first[i] == second[j] for i, j in zip(left, right, strict=True))
        )
        assert len(pairs) == best == common_subsequence(first, second)


def test_recall_is_that_of_rouge_score() -> None:
    """The recall of random texts is that of rouge_score."""
    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    rng = random.Random(0)
    words = ["running", "runs", "cities", "city", "a", "The", "don't", "41", "naïve", "e-mail", "."]
    for _ in range(200):
        expected, generated = (" ".join(rng.choices(words, k=rng.randrange(40))) for _ in range(2))
        assert rouge_l_recall(expected, generated) == scorer.score(expected, generated)["rougeL"].recall
