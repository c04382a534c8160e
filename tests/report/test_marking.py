"""Which words of an answer are marked as the expected ones."""

import random
from itertools import combinations

import pytest

from unlearning.evaluation.rouge import common_subsequence, rouge_l_recall
from unlearning.report.marking import Piece, common_words, longest_common


def shown(pieces: tuple[Piece, ...]) -> str:
    """Return the text with brackets around what is marked."""
    return "".join(f"[{piece.text}]" if piece.marked else piece.text for piece in pieces)


@pytest.mark.parametrize(
    ("expected", "answer", "marked_expected", "marked_answer"),
    [
        ("born in Oslo, 1996.", "born in Oslo, 1996.", "[born in Oslo, 1996].", "[born in Oslo, 1996]."),
        ("the red fox", "A RED, red fox!", "the [red fox]", "A RED, [red fox]!"),
        ("he walked home", "walking home he", "he [walked home]", "[walking home] he"),
        ("a b c d", "a x c d", "[a] b [c d]", "[a] x [c d]"),
        ("nothing", "", "nothing", ""),
        ("", "words", "", "words"),
        ("...", "!", "...", "!"),
        ("Straße İzmir", "stra e i̇zmir", "[Straße İzmir]", "[stra e i̇zmir]"),
    ],
    ids=["whole", "case", "stems", "gap", "empty", "nothing expected", "no words", "letters that ROUGE splits at"],
)
def test_words_in_common_are_marked_in_both(
    expected: str, answer: str, marked_expected: str, marked_answer: str
) -> None:
    """Neighbours are one piece, what stands between them included; no letter is lost."""
    common = common_words(expected, answer)
    assert (shown(common.expected), shown(common.answer)) == (marked_expected, marked_answer)


def test_count_is_rouges() -> None:
    """length / words is the recall: 3 of 5 words here (the, dog, barked)."""
    common = common_words("the old dog barked twice", "the dog had barked")
    assert (common.length, common.words) == (3, 5)
    assert rouge_l_recall("the old dog barked twice", "the dog had barked") == pytest.approx(3 / 5)


def test_longest_common_against_all_subsequences() -> None:
    """The pairs are equal words in rising order, and as many as the longest that trying all of them finds."""
    source = random.Random(0)
    for _ in range(60):
        first, second = (source.choices("abc", k=source.randint(0, 6)) for _ in range(2))
        pairs = longest_common(first, second)
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
