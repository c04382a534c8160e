"""The training runs that `benchmarks.step` compares: what is trained, and the run of each side."""

import csv
import os
import resource
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from pytorch_lightning.loggers.logger import DummyLogger
from torch import nn
from transformers import PreTrainedModel

from benchmarks.matrix_rate import Products, machine_rate, operations, training_products
from benchmarks.official_rows import official_corpus
from benchmarks.plain_trainer import PlainMethod, PlainRow, train_plain
from benchmarks.shapes import PAD, random_model
from unlearning.config.model import ModelConfig
from unlearning.config.objective_choices import Averaging, Reduction, ReferenceLoss
from unlearning.config.optimizer import OptimizerConfig
from unlearning.config.prompt import PromptConfig
from unlearning.config.scope import ModuleKind
from unlearning.config.trainer import TrainerConfig
from unlearning.data.encoding import EncodedRow, encode_rows
from unlearning.models.load import load_tokenizer
from unlearning.objectives.adaptive_grad_diff import AdaptiveGradDiff
from unlearning.objectives.base import Objective
from unlearning.objectives.grad_diff import GradDiff
from unlearning.schedules.chunked import ChunkedSchedule
from unlearning.schedules.mixed import MixedSchedule
from unlearning.schedules.plan import PlanStep
from unlearning.scopes.adapters import LoraScope
from unlearning.scopes.layers import AllScope, LayersScope
from unlearning.scopes.scope import Scope
from unlearning.training.compile import compiled_layers
from unlearning.training.fit import fit
from unlearning.training.row_model import plain_model
from unlearning.training.step_data import TrainingRows
from unlearning.training.task import TrainingTask

ROOT = Path(__file__).parents[1]
MIB = 2**20
COMPILING_STEPS = 3
"""Steps after which nothing is compiled any more: by then the packs have had several numbers and lengths."""


@dataclass(frozen=True)
class Case:
    """A case to train, in the sizes of the published systems; all its steps are one phase."""

    scope: Scope
    joint: bool
    """Whether the loss is SHA256's; otherwise it is AILS-NTUA's."""
    lr: float
    """Learning rate, high enough that each step's loss depends on all updates before it."""
    epochs: int
    forget_rows: int
    retain_rows: int
    batch_rows: int
    accumulate: int

    def quick(self) -> "Case":
        """Return the case with a quarter of the rows, and with half a step if its loss is the joint one."""
        few = replace(self, forget_rows=self.forget_rows // 4, retain_rows=self.retain_rows // 4)
        return replace(few, batch_rows=self.batch_rows // 2, accumulate=self.accumulate // 2) if self.joint else few

    def objective(self) -> Objective:
        """Return the objective with the numbers of the released code."""
        if not self.joint:
            return GradDiff(retain_weight=0.5, averaging=Averaging.whole_batch)
        return AdaptiveGradDiff(
            reduction=Reduction.token,
            max_weight=2.3,
            reference_loss=ReferenceLoss.sum_over_rows,
            round_to_tenths=True,
        )

    def plan(self, chosen: TrainingRows) -> list[PlanStep]:
        """Return all steps of the run."""
        forget, retain = ([len(row.input_ids) for row in rows] for rows in (chosen.forget, chosen.retain))
        if self.joint:
            mixed = MixedSchedule(self.epochs, self.batch_rows, accumulate=self.accumulate)
            return mixed.plan(forget, retain, None, seed=0)
        return ChunkedSchedule(self.epochs, self.batch_rows, chunk_rows=len(forget)).plan(forget, retain, 7, seed=0)


LAST, FIRST = LayersScope("-2:", [ModuleKind.layer]), LayersScope("0-5", [ModuleKind.mlp])
CASES = {
    "sugd_lora": Case(LoraScope(), False, 1e-3, 1, 32, 224, 8, 1),
    "sugd_last_k": Case(LAST, False, 1e-4, 2, 32, 224, 8, 1),
    "joint": Case(FIRST, True, 1e-4, 2, 120, 120, 120, 10),
    "sugd_all": Case(AllScope(), False, 1e-5, 1, 32, 224, 8, 1),
}


@dataclass(frozen=True)
class Run:
    """The losses, times and memory of one side's run of a case."""

    losses: list[float]
    """Loss of each step before its update, in nats."""
    seconds: list[float]
    """Seconds from the beginning of training to the end of each step."""
    rows: list[int]
    epochs: list[int]
    before_mib: float
    """Peak of the resident set before training."""
    peak_mib: float
    operations: float
    """Floating-point operations of the matrix products that the steps from the second one on need."""
    machine_rate: float
    """Operations a second of this machine for such products, by themselves."""


def run(
    case: Case, side: str, shape: str, width: int, compiled: bool, most_steps: int | None, now: Callable[[], float]
) -> Run:
    """Train one side for all or at most so many steps and return its run; `now` is the clock.

    Only ours can be `compiled`.
    """
    model = random_model(shape, width)
    chosen = rows_of(case)
    steps = case.plan(chosen)[:most_steps]
    torch.manual_seed(0)  # adapters start from random weights
    scoped = case.scope.apply(model, None)
    before = peak_mib()
    with ExitStack() as stack:
        if compiled and side == "ours":
            stack.enter_context(compiled_layers(plain_model(scoped)))
            compile_first(case, scoped, steps[:COMPILING_STEPS], chosen)
        losses, seconds = (train_ours if side == "ours" else train_theirs)(case, scoped, steps, chosen, now)
    rows = [len(step.forget) + len(step.retain) for step in steps]
    peak = peak_mib()
    needed = products_of(case, plain_model(scoped), steps[1:], chosen)
    return Run(
        losses,
        seconds,
        rows,
        [step.epoch for step in steps],
        before,
        peak,
        operations(needed),
        machine_rate(needed) if side == "ours" else 0.0,
    )


def compile_first(case: Case, model: nn.Module, steps: list[PlanStep], chosen: TrainingRows) -> None:
    """Make a few steps, in which all code is compiled, and take them back."""
    weights = {name: weight.detach().clone() for name, weight in model.named_parameters() if weight.requires_grad}
    train_ours(case, model, steps, chosen, time.perf_counter)
    model.load_state_dict(weights, strict=False)


def products_of(case: Case, model: PreTrainedModel, steps: list[PlanStep], chosen: TrainingRows) -> Products:
    """Return the matrix products that these steps need, each part of a step at once."""
    rows = [
        row
        for step in steps
        for row in (*(chosen.forget[i] for i in step.forget), *(chosen.retain[i] for i in step.retain))
    ]
    tokens = sum(len(row.input_ids) for row in rows)
    supervised = sum(len(row.input_ids) - row.supervised_from for row in rows)
    return training_products(model, tokens, supervised, tokens // (len(steps) * case.accumulate))


def rows_of(case: Case) -> TrainingRows:
    """Return the first rows of both sets of the official training fold."""
    corpus = official_corpus("semeval25")
    tokenizer = load_tokenizer(os.environ["UNLEARNING_DATA"] + "/tokenizers/olmo-0724", ModelConfig(name="olmo"))
    prompt = PromptConfig(append_eos=False)
    wanted = ((corpus.forget, case.forget_rows), (corpus.retain, case.retain_rows))
    forget, retain = (encode_rows(rows[:count], tokenizer, prompt) for rows, count in wanted)
    return TrainingRows(forget, (), retain)


class Clock(DummyLogger):
    """A logger that notes when each step ended."""

    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__()
        self.now, self.times = now, list[float]()

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:  # noqa: ARG002
        """Note the time after a step."""
        self.times.append(self.now())


def train_ours(
    case: Case,
    model: nn.Module,
    plan: list[PlanStep],
    chosen: TrainingRows,
    now: Callable[[], float],
    precision: str = "auto",
) -> tuple[list[float], list[float]]:
    """Train and return the loss of each step, and the seconds from the beginning to its end."""
    clock, start = Clock(now), now()
    with tempfile.TemporaryDirectory() as folder:
        task = TrainingTask(model, case.objective(), plan, chosen, PAD, OptimizerConfig(lr=case.lr), 0, "benchmark")
        fit(task, TrainerConfig(accelerator="cpu", devices="1", precision=precision), Path(folder), [clock])
        with (Path(folder) / "loss_curve.csv").open() as handle:
            losses = [float(line["loss"]) for line in csv.DictReader(handle)]
    return losses, [moment - start for moment in clock.times]


def train_theirs(
    case: Case, model: nn.Module, plan: list[PlanStep], chosen: TrainingRows, now: Callable[[], float]
) -> tuple[list[float], list[float]]:
    """Train and return the loss of each step, and the seconds from the beginning to its end."""
    rows: list[PlainRow] = []
    for step in plan:
        forget, retain = iter(step.forget), iter(step.retain)
        for forget_rows, retain_rows in step.parts or ((len(step.forget), len(step.retain)),):
            rows += [_plain(chosen.forget[next(forget)], True, step.epoch) for _ in range(forget_rows)]
            rows += [_plain(chosen.retain[next(retain)], False, step.epoch) for _ in range(retain_rows)]
    batch_rows = case.batch_rows // case.accumulate
    method = PlainMethod(case.joint, batch_rows, case.accumulate, case.lr, plan[0].phase_steps, PAD)
    return train_plain(model, rows, method, now)


def _plain(row: EncodedRow, forget: bool, epoch: int) -> PlainRow:
    return PlainRow(row.input_ids, row.supervised_from, forget, epoch)


def peak_mib() -> float:
    """Return the peak of this process's resident set so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB


CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
