"""Rows, documents and questions, and the corpus that holds all of them."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The two kinds of rows of the official evaluator: completions and questions."""

    COMPLETION = "sc"
    """Sentence completion, scored by ROUGE-L recall ("regurgitation")."""
    QUESTION = "qa"
    """Question answering, scored by exact match ("knowledge")."""


class Split(StrEnum):
    """The forget set, which is to be unlearned, and the retain set, which is to stay."""

    FORGET = "forget"
    RETAIN = "retain"


@dataclass(frozen=True, slots=True)
class Row:
    """A prompt and the answer that a model may know, with the columns of LUME."""

    id: str
    input: str
    output: str
    task: str
    kind: Kind
    split: Split
    own: bool = False
    """Whether the row is from a user's own data or from another benchmark. The rows of SemEval-2025 Task 4, of LUME and
    of the sandbox are not: they are scored exactly as the official evaluator scores them."""
    subject: tuple[int, int] | None = None
    """Where the words that the row asks about begin and end in `input` (the end is exclusive); None: not given."""


@dataclass(frozen=True, slots=True)
class Document:
    """A whole text, for the membership test."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """A multiple-choice question."""

    id: str
    subject: str
    question: str
    options: tuple[str, ...]
    answer: int
    """Index of the right option, counted from 0."""
    cloze: str | None = None
    """Text after which each option's likelihood is measured in the cloze format; None: the question and "Answer:"."""


@dataclass(frozen=True, slots=True)
class TofuQuestion:
    """A question with its answer and several that are wrong."""

    id: str
    question: str
    """The question in the words in which the model is asked."""
    answer: str
    paraphrase: str
    """The answer in other words, or the answer itself where the set has no other."""
    wrong: tuple[str, ...]
    """One wrong answer or more."""


@dataclass(frozen=True, slots=True)
class TofuSets:
    """The questions of TOFU; a set that is not asked is empty."""

    forget: tuple[TofuQuestion, ...] = ()
    retain: tuple[TofuQuestion, ...] = ()
    real_authors: tuple[TofuQuestion, ...] = ()
    world_facts: tuple[TofuQuestion, ...] = ()
    holdout: tuple[Row, ...] = ()
    """Questions and answers on authors that no model has learned."""


@dataclass(frozen=True, slots=True)
class MuseSets:
    """The passages and questions of MUSE; a set that is not asked is empty."""

    verbatim: tuple[Row, ...] = ()
    """Passages of the forget set and their continuations."""
    forget: tuple[Row, ...] = ()
    """Questions about the forget set, each after answered examples."""
    retain: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class RwkuProbe:
    """A question about a person, with the beginning that is written for the model's answer."""

    id: str
    question: str
    """What the user says."""
    beginning: str
    """How the model's answer begins; it may be empty."""
    answer: str


@dataclass(frozen=True, slots=True)
class RwkuSets:
    """The probes and texts of RWKU; a set that is not asked is empty."""

    forget_level1: tuple[RwkuProbe, ...] = ()
    """Blanks to fill in about the people of the forget set."""
    forget_level2: tuple[RwkuProbe, ...] = ()
    """Questions about them."""
    forget_level3: tuple[RwkuProbe, ...] = ()
    """Attacks: questions that try to bring back what was forgotten."""
    neighbor_level1: tuple[RwkuProbe, ...] = ()
    """Blanks to fill in about what is close to these people and must stay."""
    neighbor_level2: tuple[RwkuProbe, ...] = ()
    mia_forget: tuple[Document, ...] = ()
    """Texts about the people, which a pretrained model has most likely seen."""
    mia_retain: tuple[Document, ...] = ()
    """Texts about others, as likely seen."""


@dataclass(frozen=True)
class Corpus:
    """Everything that a run knows of its data."""

    forget: tuple[Row, ...]
    retain: tuple[Row, ...]
    unseen: tuple[Row, ...] = ()
    """Rows that neither set holds, for a ceiling that follows them."""
    members: tuple[Document, ...] = ()
    nonmembers: tuple[Document, ...] = ()
    questions: tuple[Question, ...] = ()
    examples: tuple[Question, ...] = ()
    """Worked examples for few-shot prompts, any number for each subject."""
    background: tuple[str, ...] = ()
    """Texts that a model which is made here learns besides the rows: the sandbox's general knowledge."""
    tofu: TofuSets | None = None
    muse: MuseSets | None = None
    wmdp: tuple[Question, ...] = ()
    """Hazardous questions (WMDP), which an unlearned model should not answer rightly."""
    rwku: RwkuSets | None = None
    notes: tuple[str, ...] = ()
    """What a user should know of how the rows were read: a line each."""
    fingerprint: str = ""
    """SHA-256 over all of the above but the notes."""
