"""What all probes have in common: the model that they ask, and the form of what they find."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
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
    compared: "ComparedModels | None" = None
    """For probes that compare the model with these two; None where one of them is missing."""
    cache_dir: Path | None = None
    """Folder for what a probe keeps by itself; None: it keeps nothing."""


@dataclass(frozen=True)
class ComparedModels:
    """What loads the two models that others are compared with, each on the device of the probed one."""

    target: Callable[[], PreTrainedModel]
    retrained: Callable[[], PreTrainedModel]


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
class CurveScores:
    """The scores of rows at one point of a curve."""

    effort: int
    """What the curve goes over: steps of relearning, or samples of an answer."""
    asked: list[RowScore]
    """Scores of the rows that count; of relearning, those of documents that were not trained on."""
    beside: list[RowScore]
    """Scores of rows that are shown beside them: of relearning, those of documents that were trained on; of leakage,
    that of the row that leaks most."""


@dataclass(frozen=True)
class Measurement:
    """What one probe found in one model."""

    items: list[RowScore]
    """The scores of the rows; the probe's value is their mean."""
    chance: float = 0.0
    """The value of a model that knows nothing and guesses."""
    curve: list[CurveScores] = field(default_factory=list)
    """The scores with ever more effort, from none on; empty for a probe that has no more or less of it."""
    curve_over: str = "steps"
    """What the effort is, for an axis."""
    notes: list[str] = field(default_factory=list)
    """What a reader must know of how the rows were chosen or asked."""

    def to_json(self) -> dict[str, Any]:
        """Return the measurement as plain data, for the cache."""
        return asdict(self)

    @staticmethod
    def from_json(value: dict[str, Any]) -> "Measurement":
        """Return the measurement that `to_json` wrote. Raises KeyError or TypeError for anything else."""
        curve = [
            CurveScores(point["effort"], _items(point["asked"]), _items(point["beside"])) for point in value["curve"]
        ]
        return Measurement(_items(value["items"]), value["chance"], curve, value["curve_over"], value["notes"])


class DoesNotApplyError(Exception):
    """Raised where the data has nothing that a probe could ask. The text says why; the other probes go on."""


class Described(Protocol):
    """What has a line in the table."""

    @property
    def title(self) -> str:
        """What is done to the model or to the question, in a few words for the table."""

    @property
    def measure(self) -> str:
        """The name of the measure, such as "exact match"."""


class Probe(Described, Protocol):
    """One way to ask a model. A probe leaves the model bitwise as it was."""

    def run(self, probed: ProbedModel) -> Measurement:
        """Return what the probe finds in the model.

        Raises DoesNotApplyError where the data has nothing to ask, and InputError as an evaluation does.
        """


def _items(values: list[dict[str, Any]]) -> list[RowScore]:
    return [RowScore(**value) for value in values]
