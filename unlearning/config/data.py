"""Which rows are forgotten and retained, and who reads them: one schema a reader."""

from dataclasses import dataclass, field

from omegaconf import MISSING

from unlearning.config.checks import at_least, one_of, require
from unlearning.config.escapes import unescaped


@dataclass
class DataConfig:
    """Base of all data sets: `_target_` names the reader."""

    _target_: str = MISSING
    max_documents_per_task: int | None = at_least(1, None)
    """Keep only the first so many documents of each task in each split (all rows of a document stay together; a piece
    of a document that was cut counts as a document); null: all. Members of the membership test whose text is a row that
    is not kept are left out too."""


@dataclass
class WorldConfig:
    """The sandbox's generated world; the same numbers give the same world, to the last byte."""

    seed: int = 0
    """Another seed is another world, which no shipped model has memorised."""
    documents_per_task: int = at_least(1, 24)
    """Documents of each task in each split: this many forget documents and as many retain documents."""
    nonmember_documents: int = at_least(1, 48)
    """Documents of Task3's kind that no model is trained on."""
    known_entities: int = at_least(1, 60)
    """Entities of general knowledge that are asked about; each has four facts, so there are four questions for each."""
    teaching_entities: int = at_least(1, 60)
    """Entities whose facts appear in every phrasing, so that a model can learn what the phrasings mean."""


@dataclass
class SandboxDataConfig(DataConfig):
    """Rows, membership documents and questions of a generated world."""

    _target_: str = "unlearning.sandbox.reader.SandboxReader"
    world: WorldConfig = field(default_factory=WorldConfig)


def sandbox_world(data: DataConfig) -> WorldConfig:
    """Return the world that the sandbox's models know: the one whose rows are read, or the shipped models' world where
    another data set is read."""
    return data.world if isinstance(data, SandboxDataConfig) else WorldConfig()


@dataclass
class FileDataConfig(DataConfig):
    """Base of all data sets that are read from files or from Hugging Face."""

    forget: list[str] = field(default_factory=list)
    """Files (parquet, JSONL), folders of them, or Hugging Face names ("owner/name:split",
    "owner/name:configuration:split") of the forget rows."""
    retain: list[str] = field(default_factory=list)
    """The same for the retain rows."""
    unseen: list[str] = field(default_factory=list)
    """The same for rows that neither set holds, written as forget rows are: objective.ceiling_follows_unseen looks at
    them, and nothing is trained on them. They are not cut by max_documents_per_task."""
    members: str | None = None
    """Documents that the target model was trained on, for the membership score; null: no membership score."""
    nonmembers: str | None = None
    """Documents that no model was trained on; given together with `members`."""
    mmlu: str | None = None
    """Folder with MMLU's dev.parquet and test.parquet; null: no utility score."""


@dataclass
class JsonlDataConfig(FileDataConfig):
    """Your own rows."""

    _target_: str = "unlearning.data.jsonl.JsonlReader"
    joined_by: str = " "
    """What will stand between input and output: conf/data/jsonl.yaml takes prompt.separator. Unless it is empty, white
    space at the end of an input and around an output is left out, since it would stand beside the separator."""


@dataclass
class SemevalDataConfig(FileDataConfig):
    """Rows of SemEval-2025 Task 4 and of LUME, the benchmark that it was taken from."""

    _target_: str = "unlearning.data.semeval.SemevalReader"


TOFU_REST = {"forget10": "retain90", "forget05": "retain95", "forget01": "retain99"}
"""The sets of authors that can be forgotten, each with the rest of the authors."""


@dataclass
class TofuDataConfig(FileDataConfig):
    """Questions and answers of TOFU (arXiv 2401.06121): which authors are forgotten, and what is asked about them.

    The sets of questions with wrong answers are sources like those of `forget`; null: the set is not asked.
    """

    _target_: str = "unlearning.data.tofu.TofuReader"
    forget_set: str = one_of(tuple(TOFU_REST), "forget10")
    """forget10, forget05 or forget01: share of the authors, in percent. conf/data/tofu.yaml names the rows by it."""
    retain_set: str = "retain90"
    """The rest of the authors: retain90, retain95 or retain99."""
    question_template: str = "{question}"
    r"""How a question becomes a row's input; `\n` is a line end, `\t` a tab."""
    forget_questions: str | None = None
    """Source with question, answer, paraphrased_answer and perturbed_answer."""
    retain_questions: str | None = None
    """The same for the retain set."""
    real_authors: str | None = None
    """Source with question, answer and perturbed_answer."""
    world_facts: str | None = None
    """The same for facts about the world."""
    holdout: str | None = None
    """Source with question and answer on authors that no model has learned, the non-members of the privacy leakage."""

    def __post_init__(self) -> None:
        """Write line ends and tabs of the template as such."""
        self.question_template = unescaped(self.question_template)

    def check(self, key: str) -> None:
        """Raise InputError where the two sets are not all authors together, and for a template without a question."""
        rest = TOFU_REST[self.forget_set]
        require(self.retain_set == rest, f"{key}.retain_set", self.retain_set, f"{rest}, the rest of {self.forget_set}")
        _require_question(self.question_template, key)


@dataclass
class DocumentsConfig:
    """How documents without questions become completion rows (MUSE, WMDP and RWKU).

    A row's input is the beginning of a piece of the document, its output the rest.
    """

    most_characters: int = 2000
    """Characters of a piece; longer documents are cut at white space. Rows must fit into prompt.max_tokens."""
    least_characters: int = at_least(0, 50)
    """Pieces of so many characters or fewer are left out (RMU's released code)."""
    rows_per_document: int | None = at_least(1, None)
    """Only a document's first so many pieces; null: all."""
    opening_words: int = at_least(1, 16)
    """Words of a row's input."""

    def check(self, key: str) -> None:
        """Raise InputError where no piece can be long enough."""
        least, most = self.least_characters + 1, self.most_characters
        require(most >= least, f"{key}.most_characters", most, f"{least} or more, above least_characters")


@dataclass
class MuseDataConfig(FileDataConfig):
    """Documents of MUSE (arXiv 2407.06460), and what is asked about them; null: a set is not asked."""

    _target_: str = "unlearning.data.muse.MuseReader"
    corpus: str = one_of(("News", "Books"), "News")
    """News or Books. conf/data/muse.yaml names the published files by it."""
    documents: DocumentsConfig = field(default_factory=DocumentsConfig)
    verbatim: str | None = None
    """Source with prompt and gt, its continuation."""
    forget_questions: str | None = None
    """Source with question and answer."""
    forget_examples: str | None = None
    """Source of answered questions that stand before each of them; null: none."""
    retain_questions: str | None = None
    """The same two for the retain set."""
    retain_examples: str | None = None
    """Source of the answered questions before those of the retain set; null: none."""


@dataclass
class WmdpDataConfig(FileDataConfig):
    """Documents of WMDP (arXiv 2403.03218), and its questions with four choices: one source for each subject.

    null: a subject is not asked.
    """

    _target_: str = "unlearning.data.wmdp.WmdpReader"
    documents: DocumentsConfig = field(default_factory=DocumentsConfig)
    bio: str | None = None
    """Source of the questions of biology."""
    cyber: str | None = None
    """Source of the questions of cybersecurity."""
    chem: str | None = None
    """Source of the questions of chemistry."""
    most_question_characters: int | None = at_least(1, None)
    """Leave out longer questions (some of cyber quote whole programs), for models of short context; null: none."""


@dataclass
class RwkuDataConfig(FileDataConfig):
    """Texts about the people of RWKU (arXiv 2406.10890), and its probes; null: a set is not asked."""

    _target_: str = "unlearning.data.rwku.RwkuReader"
    documents: DocumentsConfig = field(default_factory=DocumentsConfig)
    subjects: list[str] = field(default_factory=list)
    """The people to forget, by their names under "subject"; []: all. Retain rows have no subject."""
    forget_level1: str | None = None
    """Source with query, answer and subject: blanks to fill in."""
    forget_level2: str | None = None
    """The same: questions."""
    forget_level3: str | None = None
    """The same with type: attacks."""
    neighbor_level1: str | None = None
    """The same for what is close to the people and must stay: blanks to fill in."""
    neighbor_level2: str | None = None
    """The same: questions."""
    mia_forget: str | None = None
    """Source with text and subject: texts about the people, whose loss should rise."""
    mia_retain: str | None = None
    """The same: texts about others, whose loss should stay; "subject" is the person to forget next to whom they are."""


@dataclass
class KnowundoDataConfig(FileDataConfig):
    """Questions and answers of KnowUnDo (arXiv 2407.01920)."""

    _target_: str = "unlearning.data.knowundo.KnowundoReader"
    domain: str = one_of(("privacy", "copyright"), "privacy")
    """privacy or copyright. conf/data/knowundo.yaml names the published rows by it."""
    part: str = one_of(("train", "val", "both"), "train")
    """train is what the released code unlearns, val what it scores; both: what the target model had learned."""
    question_template: str = "{question}"
    r"""How a question becomes a row's input; `\n` is a line end, `\t` a tab."""

    def __post_init__(self) -> None:
        """Write line ends and tabs of the template as such."""
        self.question_template = unescaped(self.question_template)

    def check(self, key: str) -> None:
        """Raise InputError for a template without a question."""
        _require_question(self.question_template, key)


def _require_question(template: str, key: str) -> None:
    require("{question}" in template, f"{key}.question_template", template, "a text with {question} in it")
