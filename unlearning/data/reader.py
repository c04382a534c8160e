"""What the readers of all data sets have in common.

Bad input stops here: every error is an InputError of one line that names the file, the row and the reason.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from unlearning.data.corpus import fingerprint, first_documents
from unlearning.data.located_row import LocatedRow, check_disjoint, check_unseen
from unlearning.data.membership import read_membership
from unlearning.data.mmlu import read_mmlu
from unlearning.data.rows import Corpus, Split
from unlearning.data.sources import FORMS
from unlearning.errors import InputError


@dataclass(frozen=True)
class Reader(ABC):
    """Base of all readers: a reader makes a corpus of what its keys name."""

    max_documents_per_task: int | None = None

    def read(self) -> Corpus:
        """Return the corpus, cut to `max_documents_per_task`, with its fingerprint.

        Forget and retain rows are cut, and with them the members that are forget rows; all else stays.

        Raises InputError if anything cannot be read, or if a row is in both sets.
        """
        corpus = first_documents(self.read_all(), self.max_documents_per_task)
        return replace(corpus, fingerprint=fingerprint(corpus))

    @abstractmethod
    def read_all(self) -> Corpus:
        """Return everything that the keys name."""


@dataclass(frozen=True)
class FileReader(Reader):
    """Base of the readers of files and of Hugging Face data sets.

    A reader says how rows are read (`rows`). One whose data set has questions of its own adds them in `read_all`.
    """

    forget: Sequence[str] = ()
    retain: Sequence[str] = ()
    unseen: Sequence[str] = ()
    members: str | None = None
    nonmembers: str | None = None
    mmlu: str | None = None

    document_field: ClassVar[str] = "document"
    """Field of the text in `members` and `nonmembers`."""

    @abstractmethod
    def rows(self, sources: Sequence[str], split: Split) -> list[LocatedRow]:
        """Return the rows of all sources, in order, with ids that are unique in the whole corpus."""

    def notes(self, located: Sequence[LocatedRow]) -> Iterator[str]:  # noqa: ARG002
        """Yield what a user should know of how all rows were read, a line each; by default nothing."""
        yield from ()

    def read_all(self) -> Corpus:
        """Return rows, membership documents and MMLU's questions."""
        for split, sources in ((Split.FORGET, self.forget), (Split.RETAIN, self.retain)):
            if not sources:
                raise InputError(f"data.{split.value}: not given; must be a list, each {FORMS}")
        forget, retain = self.rows(self.forget, Split.FORGET), self.rows(self.retain, Split.RETAIN)
        check_disjoint(forget, retain)
        unseen = self.rows(self.unseen, Split.FORGET) if self.unseen else []
        check_unseen(unseen, forget, retain)
        members, nonmembers = read_membership(self.members, self.nonmembers, self.document_field)
        questions, examples = read_mmlu(self.mmlu) if self.mmlu else ((), ())
        return Corpus(
            forget=tuple(located.row for located in forget),
            retain=tuple(located.row for located in retain),
            unseen=tuple(located.row for located in unseen),
            members=members,
            nonmembers=nonmembers,
            questions=questions,
            examples=examples,
            notes=tuple(self.notes([*forget, *retain, *unseen])),
        )
