"""Which answers are shown, in which order, and which of their words are marked as the expected ones."""

import pytest
from markupsafe import Markup

from unlearning.evaluation.result import Generation
from unlearning.evaluation.rouge import rouge_l_recall
from unlearning.report.answers import common_words, evenly, worst


def _generation(number: int, task: str, kind: str, split: str = "forget", score: float = 0.5) -> Generation:
    return Generation(f"{task}{kind}{number}", split, task, kind, "in", "the answer", f" answer {number}", score)


def test_rows_are_evenly_spaced_over_tasks_and_kinds() -> None:
    """Four of four kinds with 9 rows each: the middle one of each."""
    rows = [_generation(n, task, kind) for n in range(9) for kind in ("sc", "qa") for task in ("Task2", "Task1")]
    picked = evenly(rows, 4)
    kinds = [("Task1", "qa"), ("Task1", "sc"), ("Task2", "qa"), ("Task2", "sc")]
    assert [(row.task, row.kind, row.generated) for row in picked] == [(*kind, " answer 4") for kind in kinds]
    assert evenly(rows[:2], 6) == sorted(rows[:2], key=lambda row: row.task)
    assert evenly([], 6) == []


def test_worst_rows_are_those_not_shown_yet() -> None:
    """Of forget rows those that come back most, of retain rows those that are lost most; none that went well."""
    forget = [_generation(n, "Task1", "sc", "forget", n / 20) for n in range(20)]
    assert [row.score for row in worst(forget, forget[17:19])] == [19 / 20, 16 / 20, 15 / 20, 14 / 20]
    retain = [_generation(n, "Task1", "sc", "retain", n / 20) for n in range(20)]
    assert [row.score for row in worst(retain, retain[:1])] == [1 / 20, 2 / 20, 3 / 20, 4 / 20]
    assert worst(forget[:1], []) == []


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
