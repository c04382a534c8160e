"""The row: one prompt and the answer that a model may know."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The official evaluator's two probes."""

    COMPLETION = "sc"
    """Sentence completion, scored by ROUGE-L recall ("regurgitation")."""
    QUESTION = "qa"
    """Question answering, scored by exact match ("knowledge")."""


class Split(StrEnum):
    """What is to be unlearned, and what is to stay."""

    FORGET = "forget"
    RETAIN = "retain"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the forget or the retain set, in the LUME schema."""

    id: str
    input: str
    output: str
    task: str
    kind: Kind
    split: Split


@dataclass(frozen=True, slots=True)
class Document:
    """A text for the membership test, whole."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """A multiple-choice question of general knowledge.

    ``cloze`` is the text after which each option's likelihood is measured in the cloze format;
    None: the question itself stands for it ("{question}\\nAnswer:").
    """

    id: str
    subject: str
    question: str
    options: tuple[str, ...]
    answer: int
    cloze: str | None = None


@dataclass(frozen=True)
class Corpus:
    """Everything a run needs to know about its data."""

    forget: tuple[Row, ...]
    retain: tuple[Row, ...]
    members: tuple[Document, ...] = ()
    nonmembers: tuple[Document, ...] = ()
    questions: tuple[Question, ...] = ()
    examples: tuple[Question, ...] = ()
    """Worked examples for few-shot prompts, any number a subject."""
    background: tuple[str, ...] = ()
    """Texts that a model made here is trained on besides the rows (the sandbox's general knowledge)."""
    fingerprint: str = ""
    """SHA-256 over all of the above."""
