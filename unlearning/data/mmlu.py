"""MMLU (Hendrycks et al. 2021, arXiv 2009.03300), the utility test of SemEval-2025 Task 4."""

from pathlib import Path

from unlearning.data.records import Record, excerpt, require_fields, text_field
from unlearning.data.rows import Question
from unlearning.data.sources import read_records
from unlearning.errors import InputError

OPTIONS = 4
COLUMNS = ("question", "subject", "choices", "answer")


def read_mmlu(folder: str) -> tuple[tuple[Question, ...], tuple[Question, ...]]:
    """Return questions (test.parquet) and worked examples (dev.parquet, five for each subject) of all subjects.

    Ids are "{subject}/{test|dev}/{n}", n counted from 0 within the subject.

    Raises InputError if a file or a column is missing, a question does not have four options and one answer,
    or a subject has questions but no worked example.
    """
    questions = _read(Path(folder), "test")
    examples = _read(Path(folder), "dev")
    without = sorted({question.subject for question in questions} - {example.subject for example in examples})
    if without:
        raise InputError(f"{Path(folder) / 'dev.parquet'}: no worked example of subject {excerpt(without[0])}")
    return questions, examples


def _read(folder: Path, part: str) -> tuple[Question, ...]:
    counts: dict[str, int] = {}
    questions = []
    for record in read_records(str(folder / f"{part}.parquet")):
        question = _question(record, part, counts)
        counts[question.subject] = counts.get(question.subject, 0) + 1
        questions.append(question)
    return tuple(questions)


def _question(record: Record, part: str, counts: dict[str, int]) -> Question:
    require_fields(record, COLUMNS)
    subject = text_field(record, "subject")
    choices, answer = record.fields["choices"], record.fields["answer"]
    if not isinstance(choices, list) or len(choices) != OPTIONS:
        raise record.error(f"choices is {excerpt(choices)}; must be {OPTIONS} texts")
    if not isinstance(answer, int) or isinstance(answer, bool) or not 0 <= answer < OPTIONS:
        raise record.error(f"answer is {excerpt(answer)}; must be 0 to {OPTIONS - 1}")
    options = {f"choices[{index}]": choice for index, choice in enumerate(choices)}
    listed = Record(record.place, options)
    return Question(
        id=f"{subject}/{part}/{counts.get(subject, 0)}",
        subject=subject,
        question=text_field(record, "question"),
        options=tuple(text_field(listed, name) for name in options),
        answer=answer,
    )
