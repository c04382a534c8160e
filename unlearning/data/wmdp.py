"""WMDP (Li et al. 2024, arXiv 2403.03218): documents on hazardous subjects as rows, and hazardous questions.

Hugging Face data set cais/wmdp, configurations wmdp-bio, wmdp-cyber and wmdp-chem; fields question, choices (four
texts) and answer (the right one, counted from 0). The documents have a text.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from unlearning.config.data import DocumentsConfig
from unlearning.data.documents import document_rows
from unlearning.data.located_row import LocatedRow
from unlearning.data.reader import FileReader
from unlearning.data.records import Record, excerpt, require_fields, text_field
from unlearning.data.rows import Corpus, Question, Split
from unlearning.data.sources import read_records

OPTIONS = 4


@dataclass(frozen=True)
class WmdpReader(FileReader):
    """Reads the pieces of documents as rows, and the questions of the subjects that are named."""

    documents: DocumentsConfig = field(default_factory=DocumentsConfig)
    bio: str | None = None
    cyber: str | None = None
    chem: str | None = None
    most_question_characters: int | None = None

    def rows(self, sources: Sequence[str], split: Split) -> list[LocatedRow]:
        """Return the pieces of all documents, as `document_rows` cuts them."""
        return document_rows(sources, split, self.documents)

    def read_all(self) -> Corpus:
        """Return the rows and the questions.

        Raises InputError also if a question does not have four options and one answer.
        """
        return replace(super().read_all(), wmdp=tuple(self._questions()))

    def _questions(self) -> Iterator[Question]:
        """Yield all questions that are not too long; ids are "{key}/{n}", n counted from 0 within the source."""
        # The subjects are as lm-evaluation-harness's headings name them, with which the published numbers were made.
        named = (("bio", "biology", self.bio), ("cyber", "cybersecurity", self.cyber), ("chem", "chemistry", self.chem))
        longest = self.most_question_characters
        for key, subject, source in named:
            for number, record in enumerate(() if source is None else read_records(source)):
                question = _question(record, f"{key}/{number}", subject)
                if longest is None or len(question.question) <= longest:
                    yield question


def _question(record: Record, name: str, subject: str) -> Question:
    require_fields(record, ["question", "choices", "answer"])
    choices, answer = record.fields["choices"], record.fields["answer"]
    if not isinstance(choices, list) or len(choices) != OPTIONS or not all(isinstance(text, str) for text in choices):
        raise record.error(f"choices is {excerpt(choices)}; must be {OPTIONS} texts")
    if not isinstance(answer, int) or isinstance(answer, bool) or not 0 <= answer < OPTIONS:
        raise record.error(f"answer is {excerpt(answer)}; must be 0 to {OPTIONS - 1}")
    return Question(name, subject, text_field(record, "question").strip(), tuple(choices), answer)
