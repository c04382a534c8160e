"""What is measured, and how."""

from dataclasses import dataclass, field
from enum import StrEnum

from unlearning.config.checks import require


class QuestionFormat(StrEnum):
    """How a four-way question is put."""

    cloze = "cloze"
    """Likelihood of each option after the question (OLMES); what small models can answer."""
    letters = "letters"
    """Probability of the letters A-D after the listed options; the official format."""


@dataclass
class HarnessConfig:
    """Tasks of lm-evaluation-harness, beside the official score; needs the extra `harness`."""

    tasks: list[str] = field(default_factory=list)
    """Names of its tasks or groups, or of those in include_path; empty: none."""
    include_path: str | None = None
    """Folder with task files (YAML) of one's own."""
    num_fewshot: int | None = None
    """Worked examples before an item; null: as many as each task says."""
    limit: int | None = None
    """Only the first so many items of each task; null: all."""
    batch_size: int = 8
    """Items in one forward pass."""

    def __post_init__(self) -> None:
        shots, limit = self.num_fewshot, self.limit
        require(shots is None or shots >= 0, "evaluation.harness.num_fewshot", shots, "0 or more, or null")
        require(limit is None or limit >= 1, "evaluation.harness.limit", limit, "1 or more, or null for all")
        require(self.batch_size >= 1, "evaluation.harness.batch_size", self.batch_size, "1 or more")


@dataclass
class EvaluationConfig:
    """The official score of SemEval-2025 Task 4, and what surrounds it."""

    max_new_tokens: int = 256
    utility_format: QuestionFormat = QuestionFormat.letters
    """Which format counts as utility; both are reported where the data has both."""
    shots: int = 5
    """Worked examples before a question in the letter format."""
    batch_tokens: int = 16384
    """Upper bound on padded tokens in one forward pass."""
    references: bool = True
    """Whether the untouched target and the retrained model are evaluated too (results are cached)."""
    max_questions: int | None = None
    """Only so many questions, evenly spread; null: all."""
    harness: HarnessConfig = field(default_factory=HarnessConfig)

    def __post_init__(self) -> None:
        require(self.max_new_tokens >= 1, "evaluation.max_new_tokens", self.max_new_tokens, "1 or more")
        require(self.shots >= 0, "evaluation.shots", self.shots, "0 or more")
        require(self.batch_tokens >= 1, "evaluation.batch_tokens", self.batch_tokens, "1 or more")
        limit = self.max_questions
        require(limit is None or limit >= 1, "evaluation.max_questions", limit, "1 or more, or null for all")
