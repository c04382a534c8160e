"""The presets of published systems hold the published constants, where no tuned file of a small model applies."""

from functools import cache
from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from tests.training.test_golden_released import CHECKS, RELEASED
from unlearning.config.build import build
from unlearning.config.location import conf_dir
from unlearning.config.objective import AdaptiveGradDiffConfig, GradDiffConfig
from unlearning.config.objective_choices import Averaging, Reduction
from unlearning.config.optimizer import Accumulation
from unlearning.config.prompt import PromptStyle
from unlearning.config.registration import register
from unlearning.config.schedule import AlternatingScheduleConfig, ChunkedScheduleConfig
from unlearning.config.scope import LayersScopeConfig, LoraScopeConfig, ModuleKind
from unlearning.config.settings import settings_of


@cache
def settings(*overrides: str) -> Any:
    """Return the checked dataclass of `unlearn`."""
    register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return settings_of(compose("unlearn", list(overrides)))


def test_layer_freeze_released() -> None:
    """The preset has the options that the golden test of the released code compares, with the released sizes."""
    made = settings("method=layer_freeze_released", "model=olmo_7b")
    assert isinstance(made.objective, AdaptiveGradDiffConfig)
    assert {name: getattr(made.objective, name) for name in RELEASED} == RELEASED
    assert (made.scope.layers, made.scope.modules) == ("0-5", [ModuleKind.mlp])
    assert (made.schedule.epochs, made.schedule.batch_rows, made.schedule.accumulate) == (8, 120, 10)
    assert (made.optimizer.lr, made.ratio.retain_per_forget) == (1.5e-5, None)
    assert (made.optimizer.accumulation, made.schedule.floor_steps) == (Accumulation.sum, True)
    assert {name: getattr(made.stopping, name) for name in CHECKS} == CHECKS
    assert (made.stopping.check_every_steps, made.stopping.check_part_rows) == (4, 8)
    assert (made.prompt.style, made.prompt.append_eos) == (PromptStyle.chat, False)


def test_layer_freeze_keeps_the_papers_reading() -> None:
    """The paper says nothing of sums, of steps that are left out, or of a check that counts."""
    made = settings("method=layer_freeze", "model=olmo_7b")
    assert (made.optimizer.accumulation, made.schedule.floor_steps) == (Accumulation.mean, False)
    assert (made.schedule.accumulate, made.stopping.check_every_steps) == (1, None)


def test_steps_of_the_released_code_on_the_public_fold() -> None:
    """1,112 forget and 1,136 retain rows are 144 steps, though eight epochs have 152; 928 rows of the last one go."""
    schedule = build(settings("method=layer_freeze_released", "model=olmo_7b").schedule)
    plan = schedule.plan([10] * 1112, [10] * 1136, None, 0)
    assert len(plan) == plan[0].phase_steps == 144
    assert [len(step.parts) for step in plan[:19]] == [10] * 18 + [8]
    assert sum(len(step.forget) + len(step.retain) for step in plan if step.epoch == 7) == 2248 - 928


@pytest.mark.parametrize(
    ("method", "complement"), [("layer_freeze_mlp_0_5", False), ("layer_freeze_all_but_mlp_0_5", True)]
)
def test_layer_freeze_on_named_layers(method: str, complement: bool) -> None:
    """Everything but the scope is that of layer_freeze."""
    made, paper = (settings(f"method={name}", "model=olmo_7b") for name in (method, "layer_freeze"))
    for part in ("objective", "schedule", "ratio", "optimizer", "prompt"):
        assert getattr(made, part) == getattr(paper, part)
    assert isinstance(made.scope, LayersScopeConfig)
    assert (made.scope.layers, made.scope.modules, made.scope.complement) == ("0-5", [ModuleKind.mlp], complement)


SUGD = ["chunked_lora", "chunked_lora_experiments", "chunked_last_k", "chunked_last_k_open"]


@pytest.mark.parametrize("method", SUGD)
def test_sugd(method: str) -> None:
    """All four presets have the numbers of AILS-NTUA's configs/sequential_args.json."""
    made = settings(f"method={method}", "model=olmo_7b")
    assert isinstance(made.schedule, ChunkedScheduleConfig)
    assert (made.schedule.epochs, made.schedule.batch_rows, made.schedule.chunk_rows) == (7, 8, 32)
    assert (made.schedule.batch_tokens, made.schedule.accumulate) == (None, 1)
    assert (made.optimizer.lr, made.ratio.retain_per_forget) == (1e-5, 7)
    assert isinstance(made.objective, GradDiffConfig)
    assert (made.objective.forget_weight, made.objective.retain_weight) == (1.0, 0.5)
    assert (made.objective.averaging, made.objective.reduction) == (Averaging.whole_batch, Reduction.row)
    assert (made.prompt.style, made.prompt.separator, made.prompt.append_eos) == (PromptStyle.raw, " ", False)


@pytest.mark.parametrize(
    ("method", "targets"),
    [("chunked_lora", ["q", "v", "up", "down"]), ("chunked_lora_experiments", ["q", "k", "v", "up", "down"])],
)
def test_adapters_of_sugd(method: str, targets: list[str]) -> None:
    """One of the two notebooks has adapters on the keys too."""
    scope = settings(f"method={method}", "model=olmo_7b").scope
    assert isinstance(scope, LoraScopeConfig)
    assert (scope.rank, scope.alpha, scope.dropout, scope.targets) == (16, 64, 0.0, targets)


@pytest.mark.parametrize(("method", "is_open"), [("chunked_last_k", False), ("chunked_last_k_open", True)])
def test_last_k_of_sugd(method: str, is_open: bool) -> None:
    """Only one of the two notebooks trains embeddings and head."""
    scope = settings(f"method={method}", "model=olmo_7b").scope
    assert isinstance(scope, LayersScopeConfig)
    assert (scope.layers, scope.modules, scope.complement) == ("-8:", [ModuleKind.layer], False)
    assert (scope.embeddings, scope.head) == (is_open, is_open)


def test_agad() -> None:
    """The preset has the numbers of AILS-NTUA's configs/alternating_args.json."""
    made = settings("method=alternating_lora", "model=olmo_7b")
    schedule = made.schedule
    assert isinstance(schedule, AlternatingScheduleConfig)
    assert (schedule.epochs, schedule.batch_rows, schedule.chunk_rows, schedule.interleaving) == (3, 16, 64, 1)
    assert (schedule.annealing_epochs, schedule.annealing_batch_rows, schedule.annealing_fraction) == (3, 16, 0.25)
    assert (schedule.final_annealing, schedule.annealing_lr_factor) == (True, 1.0)
    assert (schedule.accumulate, schedule.annealing_accumulate) == (1, 1)
    assert (made.optimizer.lr, made.ratio.retain_per_forget) == (5e-5, None)
    assert isinstance(made.objective, GradDiffConfig)
    assert (made.objective.forget_weight, made.objective.retain_weight) == (1.0, 1.0)
    assert made.objective.reduction is Reduction.token
    assert (made.scope.rank, made.scope.alpha, made.scope.targets) == (16, 32, ["q", "v", "up", "down"])
    assert (made.prompt.separator, made.prompt.append_eos) == (" ", False)


@pytest.mark.by_default("chunked_lora", "layer_freeze_released")
@pytest.mark.parametrize("method", [*SUGD, "layer_freeze_released"])
def test_on_the_sandbox_the_end_of_text_token_stays(method: str) -> None:
    """The sandbox's target was trained with this token, and without a chat template."""
    made = settings(f"method={method}", "model=sandbox")
    assert (made.prompt.style, made.prompt.append_eos) == (PromptStyle.raw, True)


@pytest.mark.by_default("chunked_lora", "layer_freeze")
@pytest.mark.parametrize("method", ["layer_freeze", *SUGD])
def test_the_small_official_model_keeps_its_text_format(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """experiment=semeval25_small memorises with the end-of-text token, and unlearns with it."""
    monkeypatch.setenv("UNLEARNING_DATA", "/official")
    assert settings("experiment=semeval25_small", f"method={method}").prompt.append_eos is True
