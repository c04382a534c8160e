"""Which answers are shown, in which order, and which of their words are marked as the expected ones."""

import random
from itertools import combinations

import pytest
from markupsafe import Markup

from unlearning.evaluation.result import EvaluationResult, Generation
from unlearning.evaluation.rouge import common_subsequence, rouge_l_recall
from unlearning.report.answers import answer_to, common_words, evenly, longest_common, worst


def _generation(number: int, task: str, kind: str, split: str = "forget", score: float = 0.5) -> Generation:
    return Generation(f"{task}{kind}{number}", split, task, kind, "in", "the answer", f" answer {number}", score)


def test_rows_come_from_every_task_and_kind_evenly() -> None:
    """Five of four kinds with 9 rows each: two of the first, in the middle of its halves; of the others the middle."""
    rows = [_generation(n, task, kind) for task in ("Task1", "Task2") for kind in ("sc", "qa") for n in range(9)]
    picked = evenly(rows, 5)
    assert [(row.task, row.kind) for row in picked] == [
        ("Task1", "sc"),
        ("Task1", "sc"),
        ("Task1", "qa"),
        ("Task2", "sc"),
        ("Task2", "qa"),
    ]
    assert [row.generated for row in picked[:3]] == [" answer 2", " answer 6", " answer 4"]
    assert evenly(rows[:2], 6) == rows[:2]
    assert evenly([], 6) == []


def test_worst_rows_are_those_not_shown_yet() -> None:
    """Of forget rows those that come back most, of retain rows those that are lost most; none that went well."""
    forget = [_generation(n, "Task1", "sc", "forget", n / 20) for n in range(20)]
    assert [row.score for row in worst(forget, forget[17:19])] == [19 / 20, 16 / 20, 15 / 20, 14 / 20]
    retain = [_generation(n, "Task1", "sc", "retain", n / 20) for n in range(20)]
    assert [row.score for row in worst(retain, retain[:1])] == [1 / 20, 2 / 20, 3 / 20, 4 / 20]
    assert worst(forget[:1], []) == []


def test_an_answer_is_found_by_split_and_row() -> None:
    """A row of the same name in the other split is another row."""
    row = _generation(1, "Task1", "qa")
    said = _generation(1, "Task1", "qa", score=1.0)
    other = _generation(1, "Task1", "qa", "retain")
    assert answer_to(EvaluationResult(generations=[other, said]), row) is said
    assert answer_to(EvaluationResult(generations=[other]), row) is None


def shown(html: Markup) -> str:
    """Return the text with brackets around what is marked."""
    return html.replace("<mark>", "[").replace("</mark>", "]").unescape()


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
        ("Straße & Çay", " stra <e> ay", "[Straße & Çay]", "[stra <e> ay]"),
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
