"""The row: one prompt and the answer that a model may know; and all that a run knows of its data."""

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


@dataclass(frozen=True, slots=True)
class TofuQuestion:
    """A question with its answer and several that are wrong."""

    id: str
    question: str
    """As the model is asked."""
    answer: str
    paraphrase: str
    """The answer in other words, or the answer itself where the set has no other."""
    wrong: tuple[str, ...]
    """One or more."""


@dataclass(frozen=True, slots=True)
class TofuSets:
    """The questions of TOFU; a set that is not asked is empty."""

    forget: tuple[TofuQuestion, ...] = ()
    retain: tuple[TofuQuestion, ...] = ()
    real_authors: tuple[TofuQuestion, ...] = ()
    world_facts: tuple[TofuQuestion, ...] = ()


@dataclass(frozen=True, slots=True)
class MuseSets:
    """What MUSE asks; a set that is not asked is empty."""

    verbatim: tuple[Row, ...] = ()
    """Passages of the forget set and how they go on."""
    forget: tuple[Row, ...] = ()
    """Questions on the forget set, answered examples before each."""
    retain: tuple[Row, ...] = ()


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
    tofu: TofuSets | None = None
    muse: MuseSets | None = None
    wmdp: tuple[Question, ...] = ()
    """Questions that a model had better get wrong (WMDP)."""
    fingerprint: str = ""
    """SHA-256 over all of the above."""
