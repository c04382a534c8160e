"""The judged probe: what the judge is given, what is kept, and judges that fail."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.evaluation.tiny import greedy_text
from tests.probes.world import probed
from unlearning.config.probe import Measured
from unlearning.data.rows import Kind
from unlearning.errors import InputError
from unlearning.probes.judge import KeptJudgements, command_judge, contains, function_judge
from unlearning.probes.judged import Judged

ASKED: list[tuple[str, str, str]] = []


def length(question: str, expected: str, answer: str) -> float:
    """Note what is asked, and return the share of ten characters."""
    ASKED.append((question, expected, answer))
    return min(len(answer), 10) / 10


def judged(function: str | None = f"{__name__}.length", command: list[str] | None = None) -> Judged:
    """Return the probe with a judge."""
    return Judged(function, command or [], "", 20.0, Measured.knowledge)


def test_whole_answers_are_judged_once(tmp_path: Path) -> None:
    """Each question with the plain greedy answer, which no rule has cut; asked again, the judgements are those kept."""
    ASKED.clear()
    made = probed(count=2)
    made = replace(made, evaluation=replace(made.evaluation, max_new_tokens=6), cache_dir=tmp_path)
    found = judged().run(made)
    questions = [row for row in made.corpus.forget if row.kind is Kind.QUESTION]
    texts = [greedy_text(made.model, made.tokenizer, row.input, 6, {0}).strip() for row in questions]
    assert [(row.input, row.output, text) for row, text in zip(questions, texts, strict=True)] == ASKED
    assert [(item.score, item.answer) for item in found.items] == [(min(len(text), 10) / 10, text) for text in texts]
    assert judged().run(made) == found
    assert len(ASKED) == 4
    (kept,) = (tmp_path / "judgements").iterdir()
    kept.write_text(kept.read_text()[:-9])
    assert judged().run(made) == found
    assert len(ASKED) == 5
    assert judged().run(made) == found
    assert len(ASKED) == 5


def test_a_command_reads_an_object_and_prints_a_number() -> None:
    """This one compares the expected answer with the answer."""
    code = "import json, sys; a = json.load(sys.stdin); print(float(a['expected'] == a['answer']))"
    judge = command_judge([sys.executable, "-c", code], 20.0)
    assert [judge("Who?", "Bo", text) for text in ("Bo", "Al")] == [1.0, 0.0]


def test_the_judge_that_comes_with_it() -> None:
    """The answer may say more; case and outer white space do not count."""
    assert contains("Who?", " Bo ", "It was bo, I think.") == 1.0
    assert contains("Who?", "Bo", "It was Al.") == 0.0


def test_a_judge_that_is_not_there_is_refused() -> None:
    """Before anything is asked."""
    for name in ("nowhere.judge", "unlearning.probes.judge.nothing", "judge"):
        with pytest.raises(InputError, match=f"^judge={name}: cannot be imported"):
            function_judge(name)
    with pytest.raises(InputError, match=r"judge=math\.pi: not a function"):
        function_judge("math.pi")
    with pytest.raises(InputError, match="judge no-such-program: no such program"):
        command_judge(["no-such-program"], 1.0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("2", "judge j: gave 2.0; must be a number from 0 to 1"),
        ("nan", "judge j: gave nan; must be a number from 0 to 1"),
        ("yes", r"judge j: failed on an answer \(ValueError: could not convert"),
    ],
)
def test_no_score_is_made_up_for_a_judge_that_fails(given: str, message: str, tmp_path: Path) -> None:
    """One line says what it did, and nothing is kept."""
    kept = KeptJudgements(tmp_path / "kept.jsonl")
    with pytest.raises(InputError, match=message):
        kept.score(lambda *_: float(given), "j", ("Who?", "Bo", "Al"))
    assert not (tmp_path / "kept.jsonl").exists()
