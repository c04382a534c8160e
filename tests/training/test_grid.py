"""Any objective with any scope and any schedule: a few steps of each, and nothing but the scope moves.

By default each objective trains once, with scopes and schedules in turns; `-m exhaustive` runs all combinations.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.rotation import left_out
from tests.test_conf import choices, settings
from tests.tiny_models import tiny_model
from tests.training.rows import lengths, random_rows
from unlearning.config.build import build
from unlearning.config.commands import UnlearnConfig
from unlearning.config.objective_choices import BOTH_ANSWERS
from unlearning.config.optimizer import OptimizerConfig
from unlearning.config.settings import check_settings
from unlearning.config.trainer import TrainerConfig
from unlearning.errors import InputError
from unlearning.schedules.plan import PlanStep
from unlearning.training.fit import fit
from unlearning.training.step_data import TrainingRows
from unlearning.training.task import TrainingTask

FORGET, REFUSALS, RETAIN = random_rows(4, 1), random_rows(4, 3), random_rows(6, 2)
SCOPES = ("all", "layers", "all_but_first_6_mlp", "last_8", "traced", "lora", "dora")
RMU_NUMBERS = ("adaptive_rmu_olmo_1b", "adaptive_rmu_olmo_7b")
SAME_BUT_FOR_NUMBERS = (*RMU_NUMBERS, "npo_kl_ce_under", "adaptive_grad_diff_released")
DIVERGING = ["objective=grad_diff", "objective.divergence_weight=1"]
VARIANTS = {
    "dora": ["scope=lora", "scope.dora=true"],
    "grad_diff_js": [*DIVERGING, "objective.divergence=js"],
    "grad_diff_renyi": [*DIVERGING, "objective.divergence=renyi"],
}
"""Choices without a file of their own -> the words that make them of another choice."""
ONE_SET_ONLY = ("finetune", "grad_ascent", "ce_u", "undial", "task_vector")
SMALL = {"epochs": 1, "batch_rows": 4, "batch_tokens": None, "accumulate": 1}


@cache
def base() -> UnlearnConfig:
    """Return a configuration whose parts are exchanged."""
    found = settings("unlearn", "model=local", "model.path=./anywhere", "method=grad_diff", "ratio=natural")
    assert isinstance(found, UnlearnConfig)
    return found


@cache
def part(group: str, name: str) -> Any:
    """Return one choice of a group, made small enough for two layers and ten rows."""
    words = [] if name in VARIANTS else [f"{group}={name}"]
    words += ["model=local", "model.path=./anywhere", "ratio=natural"]
    words += VARIANTS.get(name, [])
    words += ["scope.layers=0"] if (group, name) == ("scope", "layers") else []
    found = getattr(settings("unlearn", *words), group)
    if group == "objective" and hasattr(found, "layer"):
        return replace(found, layer=1)
    if group == "schedule":
        small = {key: value for key, value in SMALL.items() if hasattr(found, key)}
        chunks = {key: 4 for key in ("chunk_rows", "annealing_batch_rows") if hasattr(found, key)}
        return replace(found, **small, **chunks)
    return replace(found, layers="0") if getattr(found, "layers", None) == "0-5" else found


OBJECTIVES = [name for name in choices("objective") if name not in SAME_BUT_FOR_NUMBERS]
OBJECTIVES += [name for name in VARIANTS if name.startswith("grad_diff")]
GRID = list(product(OBJECTIVES, SCOPES, choices("schedule")))


def schedules_of(objective: str) -> list[str]:
    """Return the schedules that an objective can have."""
    return [name for name in choices("schedule") if name != "alternating" or objective not in ONE_SET_ONLY]


def pairs() -> Iterator[tuple[str, str, str]]:
    """Yield every objective with every scope, in turns with each schedule, so that any two choices meet."""
    for row, objective in enumerate(OBJECTIVES):
        schedules = schedules_of(objective)
        for column, scope in enumerate(SCOPES):
            yield objective, scope, schedules[(row + column) % len(schedules)]


def plan_of(config: UnlearnConfig) -> list[PlanStep]:
    """Return the first three steps and the last one."""
    steps: list[PlanStep] = build(config.schedule).plan(
        lengths(FORGET), lengths(RETAIN), config.ratio.retain_per_forget, 0
    )
    return [*steps[:3], *steps[3:][-1:]]


def trained(config: UnlearnConfig, folder: Path) -> tuple[nn.Module, dict[str, torch.Tensor]]:
    """Return the model after the plan, and its weights before."""
    torch.manual_seed(0)
    model: nn.Module = build(config.scope).apply(tiny_model("olmo"), [0])
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    objective = build(config.objective)
    both = objective.forget_answers in BOTH_ANSWERS
    book = TrainingRows(FORGET, REFUSALS if both else (), RETAIN)
    task = TrainingTask(model, objective, plan_of(config), book, 0, OptimizerConfig(lr=1e-2), 0, "grid")
    fit(task, TrainerConfig(accelerator="cpu", pack_tokens=64), folder, [])
    return model, before


def composed(objective: str, scope: str, schedule: str) -> UnlearnConfig:
    """Return the configuration with these choices."""
    chosen = {"objective": part("objective", objective), "scope": part("scope", scope)}
    return replace(base(), **chosen, schedule=part("schedule", schedule))


def train_and_check(folder: Path, objective: str, scope: str, schedule: str) -> None:
    """Train a few steps: losses are finite, the scope moves and nothing else does."""
    config = composed(objective, scope, schedule)
    check_settings(config)
    model, before = trained(config, folder)
    moved = [name for name, weight in model.named_parameters() if not torch.equal(weight, before[name])]
    assert moved
    assert all(model.get_parameter(name).requires_grad for name in moved)
    lines = (folder / "loss_curve.csv").read_text().splitlines()
    loss = lines[0].split(",").index("loss")
    assert all(math.isfinite(float(line.split(",")[loss])) for line in lines[1:])


def in_turns() -> list[tuple[str, str, str]]:
    """Return those pairs in which each objective occurs once, and each scope with each schedule or nearly so."""
    cases = list(pairs())
    return [cases[len(SCOPES) * row + 3 * row % len(SCOPES)] for row in range(len(OBJECTIVES))]


IN_TURNS = in_turns()
PAIRS = [pytest.param(*case, id="-".join(case), marks=left_out(case not in IN_TURNS)) for case in pairs()]


@pytest.mark.parametrize(("objective", "scope", "schedule"), PAIRS)
def test_any_two_choices(tmp_path: Path, objective: str, scope: str, schedule: str) -> None:
    """Each objective trains; with `-m exhaustive` each pair of objective, scope and schedule occurs."""
    train_and_check(tmp_path, objective, scope, schedule)


@pytest.mark.exhaustive
@pytest.mark.parametrize(("objective", "scope", "schedule"), GRID, ids=["-".join(case) for case in GRID])
def test_any_objective_scope_and_schedule(tmp_path: Path, objective: str, scope: str, schedule: str) -> None:
    """Each combination trains, or is refused with the reason."""
    if schedule in schedules_of(objective):
        train_and_check(tmp_path, objective, scope, schedule)
    else:
        require_refusal(objective, scope)


@pytest.mark.parametrize("objective", ONE_SET_ONLY)
def test_an_objective_of_one_set_is_refused_with_alternating_phases(objective: str) -> None:
    """Half of the phases would do nothing, and the message says why."""
    require_refusal(objective, "all")


def require_refusal(objective: str, scope: str) -> None:
    """Check that alternating phases are refused with this objective."""
    with pytest.raises(InputError, match=r"objective uses no (forget|retain) rows"):
        check_settings(composed(objective, scope, "alternating"))


def test_the_cases_meet_in_pairs() -> None:
    """All pairs of choices are among the cases, but for the schedule that some objectives cannot have."""
    cases = list(pairs())
    assert {case[:2] for case in cases} == set(product(OBJECTIVES, SCOPES))
    assert {case[::2] for case in cases} == {(name, schedule) for name in OBJECTIVES for schedule in schedules_of(name)}
    assert {case[1:] for case in cases} == set(product(SCOPES, choices("schedule")))
    objectives, scopes, schedules = (set(column) for column in zip(*IN_TURNS, strict=True))
    assert (objectives, scopes, schedules) == (set(OBJECTIVES), set(SCOPES), set(choices("schedule")))
