"""What all probes have in common: the model they ask, and what they find."""

from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.config.evaluation import EvaluationConfig
from unlearning.config.prompt import PromptConfig
from unlearning.config.trainer import TrainerConfig
from unlearning.data.rows import Corpus


@dataclass(frozen=True)
class ProbedModel:
    """A model on its device, and all that decides what is asked of it."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    corpus: Corpus
    prompt: PromptConfig
    evaluation: EvaluationConfig
    trainer: TrainerConfig
    """For probes that train."""


@dataclass(frozen=True)
class RowScore:
    """One row's score."""

    id: str
    document: str
    """Rows of one document are drawn together in the bootstrap."""
    score: float
    """From 0 to 1, 1 for perfect memory."""
    answer: str | None = None
    """What the model said, where it said something."""


@dataclass(frozen=True)
class RelearningScores:
    """The rows' scores after so many steps of relearning."""

    steps: int
    held_out: list[RowScore]
    """Of documents that the model was not trained on again."""
    trained: list[RowScore]
    """Of those that it was."""


@dataclass(frozen=True)
class Measurement:
    """What one probe found in one model."""

    items: list[RowScore]
    """The value is their mean."""
    chance: float = 0.0
    """Value of a model that knows nothing and likely_answers."""
    curve: list[RelearningScores] = field(default_factory=list)
    """Of a probe that trains: before the first step, and after some; one has the items."""
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @staticmethod
    def from_json(value: dict[str, Any]) -> "Measurement":
        """Inverse of `to_json`. Raises KeyError or TypeError for anything else."""
        looks = [
            RelearningScores(look["steps"], _items(look["held_out"]), _items(look["trained"]))
            for look in value["curve"]
        ]
        return Measurement(_items(value["items"]), value["chance"], looks, value["notes"])


class DoesNotApplyError(Exception):
    """There is nothing here that this probe could ask; its text says why, and the other probes go on."""


class Probe(Protocol):
    """One way of asking. It leaves the model as it found it, to the last bit."""

    @property
    def title(self) -> str:
        """A few words for the table: what is done to the model or to the question."""

    @property
    def measure(self) -> str:
        """What the value is, such as "exact match"."""

    def run(self, probed: ProbedModel) -> Measurement:
        """Ask. Raises DoesNotApplyError where the data has nothing to ask, InputError as an evaluation does."""


def _items(values: list[dict[str, Any]]) -> list[RowScore]:
    return [RowScore(**value) for value in values]
