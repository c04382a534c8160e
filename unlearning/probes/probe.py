"""What all probes have in common: the model that they ask, and the form of what they find."""

from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.config.evaluation import EvaluationConfig
from unlearning.config.prompt import PromptConfig
from unlearning.config.trainer import TrainerConfig
from unlearning.data.rows import Corpus


@dataclass(frozen=True)
class ProbedModel:
    """A model on its device, and everything that decides what it is asked."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    corpus: Corpus
    prompt: PromptConfig
    evaluation: EvaluationConfig
    trainer: TrainerConfig
    """Settings of the probes that train."""


@dataclass(frozen=True)
class RowScore:
    """The score of one row under a probe."""

    id: str
    document: str
    """The row's document; rows of one document are drawn together in the bootstrap."""
    score: float
    """From 0 to 1, 1 for perfect memory."""
    answer: str | None = None
    """The model's answer, for probes under which it gives one."""


@dataclass(frozen=True)
class RelearningScores:
    """The scores of all rows after a number of steps of relearning."""

    steps: int
    held_out: list[RowScore]
    """Scores of the documents that were not used for relearning."""
    trained: list[RowScore]
    """Scores of the documents that were."""


@dataclass(frozen=True)
class Measurement:
    """What one probe found in one model."""

    items: list[RowScore]
    """The scores of the rows; the probe's value is their mean."""
    chance: float = 0.0
    """The value of a model that knows nothing and guesses."""
    curve: list[RelearningScores] = field(default_factory=list)
    """The scores before the first step of a probe that trains, and after some steps; empty for any other probe."""
    notes: list[str] = field(default_factory=list)
    """What a reader must know of how the rows were chosen or asked."""

    def to_json(self) -> dict[str, Any]:
        """Return the measurement as plain data, for the cache."""
        return asdict(self)

    @staticmethod
    def from_json(value: dict[str, Any]) -> "Measurement":
        """Return the measurement that `to_json` wrote. Raises KeyError or TypeError for anything else."""
        curve = [
            RelearningScores(point["steps"], _items(point["held_out"]), _items(point["trained"]))
            for point in value["curve"]
        ]
        return Measurement(_items(value["items"]), value["chance"], curve, value["notes"])


class DoesNotApplyError(Exception):
    """Raised where the data has nothing that a probe could ask. The text says why; the other probes go on."""


class Probe(Protocol):
    """One way to ask a model. A probe leaves the model bitwise as it was."""

    @property
    def title(self) -> str:
        """What is done to the model or to the question, in a few words for the table."""

    @property
    def measure(self) -> str:
        """The name of the measure, such as "exact match"."""

    def run(self, probed: ProbedModel) -> Measurement:
        """Return what the probe finds in the model.

        Raises DoesNotApplyError where the data has nothing to ask, and InputError as an evaluation does.
        """


def _items(values: list[dict[str, Any]]) -> list[RowScore]:
    return [RowScore(**value) for value in values]
