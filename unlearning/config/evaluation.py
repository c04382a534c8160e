"""What is measured, and how."""

from dataclasses import dataclass, field
from enum import StrEnum

from unlearning.config.checks import at_least


class QuestionFormat(StrEnum):
    """How a four-way question is put."""

    cloze = "cloze"
    """Likelihood of each option after the question (OLMES); what small models can answer."""
    letters = "letters"
    """Probability of the letters A-D after the listed options; the official format."""


class Precision(StrEnum):
    """The type of the weights that are scored."""

    own = "own"
    """The type in which trainer.precision holds them: float32, unless it is bf16-true."""
    official = "official"
    """bfloat16, as the official evaluator loads every model. Greedy answers and losses differ a little, single terms of
    a small model by up to 0.07."""


@dataclass
class HarnessConfig:
    """Tasks of lm-evaluation-harness, beside the official score; needs the extra `harness`."""

    tasks: list[str] = field(default_factory=list)
    """Names of its tasks or groups, or of those in include_path; empty: none."""
    include_path: str | None = None
    """Folder with task files (YAML) of one's own."""
    num_fewshot: int | None = at_least(0, None)
    """Worked examples before an item; null: as many as each task says."""
    limit: int | None = at_least(1, None)
    """Only the first so many items of each task; null: all."""
    batch_size: int = at_least(1, 8)
    """Items in one forward pass."""


@dataclass
class EvaluationConfig:
    """The official score of SemEval-2025 Task 4, and what surrounds it."""

    precision: Precision = Precision.own
    """What is scored, and only that: training, tracing and probes keep the weights' own type."""
    max_new_tokens: int = at_least(1, 256)
    """Tokens of a generated answer, at most."""
    utility_format: QuestionFormat = QuestionFormat.letters
    """Which format counts as utility; both are reported where the data has both."""
    shots: int = at_least(0, 5)
    """Worked examples before a question in the letter format."""
    batch_tokens: int = at_least(1, 16384)
    """Upper bound on padded tokens in one forward pass."""
    references: bool = True
    """Whether the target model and the retrained model are evaluated too (results are cached)."""
    max_questions: int | None = at_least(1, None)
    """Only so many questions, evenly spread; null: all."""
    max_documents: int | None = at_least(1, None)
    """Only so many members and as many non-members are attacked, evenly spread; null: all."""
    harness: HarnessConfig = field(default_factory=HarnessConfig)
    own_metrics: list[str] = field(default_factory=list)
    """Metrics of your own: dotted paths of functions (my_module.brevity). Each takes an `EvaluatedModel` and its
    `EvaluationResult`, and returns a number or None; it stands in metrics.json by the function's name."""
