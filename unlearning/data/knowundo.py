"""KnowUnDo (Tian et al. 2024, arXiv 2407.01920): what must be unlearned of a person or a book, and what must not.

Hugging Face data set zjunlp/KnowUnDo, configurations privacy and copyright, splits unlearn and retention. Each is a
single record whose fields train and val are lists of questions; a question has a text and its labels, the answer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from unlearning.data.located_row import LocatedRow
from unlearning.data.question_rows import question_rows
from unlearning.data.reader import FileReader
from unlearning.data.records import Record, excerpt, require_fields
from unlearning.data.rows import Split
from unlearning.data.sources import read_records

PARTS = {"train": ("train",), "val": ("val",), "both": ("train", "val")}


@dataclass(frozen=True)
class KnowundoReader(FileReader):
    """Reads the questions and answers of one part as rows.

    `domain` only names the published files in conf/data/knowundo.yaml.
    """

    domain: str = "privacy"
    part: str = "train"
    question_template: str = "{question}"

    def rows(self, sources: Sequence[str], split: Split) -> list[LocatedRow]:
        """Return the questions and answers of the part, as `question_rows` writes them.

        Raises InputError also if a record does not hold lists of questions.
        """
        return question_rows(sources, split, "text", "labels", self.question_template, self._questions)

    def _questions(self, source: str) -> Iterator[Record]:
        """Yield the questions inside the source's records, each with its place."""
        for record in read_records(source):
            require_fields(record, PARTS[self.part])
            for name in PARTS[self.part]:
                yield from _listed(record, name)


def _listed(record: Record, name: str) -> Iterator[Record]:
    """Yield the questions of one list."""
    questions = record.fields[name]
    if not isinstance(questions, list) or not questions:
        raise record.error(f"{name} is {excerpt(questions)}; must be a list of questions")
    for number, question in enumerate(questions):
        nested = Record(f"{record.place}, {name}[{number}]", question if isinstance(question, dict) else {})
        if not nested.fields:
            raise nested.error(f"is {excerpt(question)}; must have text and labels")
        yield nested
