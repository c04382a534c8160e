"""A loss, a scope, a schedule, a data set and a metric of one's own. docs/own_parts.md says how to use them."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from torch import Tensor, nn
from transformers import PreTrainedModel

from unlearning.config.checks import above, at_least
from unlearning.config.scope import ModuleKind
from unlearning.data.located_row import LocatedRow
from unlearning.data.question_rows import question_rows
from unlearning.data.reader import FileReader
from unlearning.data.records import Record, table_records
from unlearning.data.rows import Split
from unlearning.evaluation.evaluated_model import EvaluatedModel
from unlearning.evaluation.result import EvaluationResult
from unlearning.models import anatomy
from unlearning.objectives.rows import Rows
from unlearning.objectives.weighted import Weighted
from unlearning.schedules.mixed import MixedSchedule
from unlearning.schedules.plan import PlanStep
from unlearning.scopes.scope import parameters_of_parts, require_trainable


@dataclass
class BoundedAscent(Weighted):
    """F = -min(CE, bound_nats): gradient ascent that lets go of a row once its mean loss has reached a bound."""

    bound_nats: float = above(0, 5.0)

    def forget_terms(self, rows: Rows, refusals: Rows | None) -> Tensor:
        """Return (R,) one term for each forget row, which is minimised."""
        return -rows.mean(rows.values).clamp(max=self.bound_nats)


@dataclass(frozen=True)
class EveryNthMlp:
    """The MLPs of every n-th layer move, counted from layer 0."""

    every: int = at_least(1, 2)

    def require_fits(self, model: PreTrainedModel) -> None:
        """Raise InputError where the model's layers have no MLPs; the model is not changed."""
        self._parameters(model)

    def apply(self, model: PreTrainedModel, traced_layers: Sequence[int] | None) -> nn.Module:
        """Freeze all parameters but the scope's, and return the model."""
        model.requires_grad_(False)
        for parameter in self._parameters(model):
            parameter.requires_grad_(True)
        return require_trainable(model)

    def _parameters(self, model: PreTrainedModel) -> list[nn.Parameter]:
        layers = range(0, len(anatomy.layers(model)), self.every)
        return parameters_of_parts(model, layers, [ModuleKind.mlp])


@dataclass(frozen=True)
class RetainFirst(MixedSchedule):
    """The mixed schedule after some epochs of retain rows alone, which are a phase of their own."""

    first_epochs: int = at_least(1, 1)

    def plan(
        self, forget_tokens: Sequence[int], retain_tokens: Sequence[int], retain_per_forget: int | None, seed: int
    ) -> list[PlanStep]:
        """Return all steps of a run, given the number of tokens of each row in file order."""
        first = MixedSchedule(self.first_epochs, self.batch_rows).plan([], retain_tokens, None, seed)
        then = super().plan(forget_tokens, retain_tokens, retain_per_forget, seed)
        return [*first, *(replace(step, phase=step.phase + 1) for step in then)]


@dataclass(frozen=True)
class CsvReader(FileReader):
    """Rows from CSV files with a column of questions and a column of answers."""

    question: str = "question"
    answer: str = "answer"

    def rows(self, sources: Sequence[str], split: Split) -> list[LocatedRow]:
        """Return one row for each line of all files, in order. Errors name the file and the row."""
        return question_rows(sources, split, self.question, self.answer, "{question}", _csv_records)


def _csv_records(source: str) -> Iterator[Record]:
    with open(source, newline="", encoding="utf-8") as file:
        yield from table_records(source, list(csv.DictReader(file)))


def forget_answer_words(evaluated: EvaluatedModel, result: EvaluationResult) -> float | None:
    """Return the mean number of words in the answers to forget rows; None without forget rows."""
    counts = [len(item.generated.split()) for item in result.generations if item.split == "forget"]
    return fmean(counts) if counts else None
