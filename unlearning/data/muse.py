"""MUSE (Shi et al. 2024, arXiv 2407.06460): documents as rows, and questions as its released code writes the prompts.

Hugging Face data sets muse-bench/MUSE-News and muse-bench/MUSE-Books: verbmem has prompt and gt, knowmem question and
answer, raw and privleak text.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from unlearning.config.data import DocumentsConfig
from unlearning.data.documents import FIELD, document_rows
from unlearning.data.located_row import LocatedRow
from unlearning.data.reader import FileReader
from unlearning.data.records import require_fields, text_field
from unlearning.data.rows import Corpus, Kind, MuseSets, Row, Split
from unlearning.data.sources import read_records

TASK = "muse"


@dataclass(frozen=True)
class MuseReader(FileReader):
    """Reads the pieces of documents as rows, and the passages and questions that MUSE asks.

    `corpus` only names the published files in conf/data/muse.yaml.
    """

    corpus: str = "News"
    documents: DocumentsConfig = field(default_factory=DocumentsConfig)
    verbatim: str | None = None
    forget_questions: str | None = None
    forget_examples: str | None = None
    retain_questions: str | None = None
    retain_examples: str | None = None

    document_field: ClassVar[str] = FIELD

    def rows(self, sources: Sequence[str], split: Split) -> list[LocatedRow]:
        """Return the pieces of all documents, as `document_rows` cuts them."""
        return document_rows(sources, split, self.documents)

    def read_all(self) -> Corpus:
        """Return the rows, and what is asked besides them.

        Raises InputError also if a record of these lacks a field.
        """
        corpus = super().read_all()
        sets = MuseSets(
            verbatim=_verbatim(self.verbatim),
            forget=_knowledge(self.forget_questions, self.forget_examples, Split.FORGET),
            retain=_knowledge(self.retain_questions, self.retain_examples, Split.RETAIN),
        )
        return replace(corpus, muse=None if sets == MuseSets() else sets)


def _verbatim(source: str | None) -> tuple[Row, ...]:
    rows = []
    for number, (prompt, continuation) in enumerate(_pairs(source, "prompt", "gt")):
        rows.append(Row(f"verbatim/{number}", prompt, continuation, TASK, Kind.COMPLETION, Split.FORGET))
    return tuple(rows)


def _knowledge(source: str | None, examples: str | None, split: Split) -> tuple[Row, ...]:
    """Return each question after all examples. The space after "Answer:" is the released code's."""
    shown = "".join(f"Question: {question}\nAnswer: {answer}\n\n" for question, answer in _answered(examples))
    rows = []
    for number, (question, answer) in enumerate(_answered(source)):
        prompt = f"{shown}Question: {question}\nAnswer: "
        rows.append(Row(f"{split.value}/{number}", prompt, answer, TASK, Kind.QUESTION, split))
    return tuple(rows)


def _answered(source: str | None) -> list[tuple[str, str]]:
    return _pairs(source, "question", "answer")


def _pairs(source: str | None, first: str, second: str) -> list[tuple[str, str]]:
    pairs = []
    for record in () if source is None else read_records(source):
        require_fields(record, [first, second])
        pairs.append((text_field(record, first), text_field(record, second)))
    return pairs
