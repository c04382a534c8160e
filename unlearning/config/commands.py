"""The settings of each command."""

import math
from dataclasses import dataclass, field
from enum import StrEnum

from omegaconf import MISSING

from unlearning.config.checks import require, within
from unlearning.config.data import DataConfig
from unlearning.config.evaluation import EvaluationConfig
from unlearning.config.logger import LoggerConfig
from unlearning.config.model import ModelConfig
from unlearning.config.noised_start import NoisedStartConfig
from unlearning.config.objective import ObjectiveConfig
from unlearning.config.optimizer import ForgettingOptimizerConfig
from unlearning.config.probe import ProbeConfig
from unlearning.config.prompt import PromptConfig
from unlearning.config.ratio import RatioConfig
from unlearning.config.recipe import RecipeConfig
from unlearning.config.repselect import RepSelectConfig
from unlearning.config.schedule import ScheduleConfig
from unlearning.config.scope import ScopeConfig
from unlearning.config.stopping import StoppingConfig
from unlearning.config.trace import TraceConfig
from unlearning.config.trainer import TrainerConfig
from unlearning.config.tuned import TunedConfig


@dataclass
class CommonConfig:
    """Keys that every command which touches a model has."""

    name: str = MISSING
    """Names the run folder."""
    seed: int = 0
    """Seed of training: of the order of rows and of new adapters. Tracing and each probe have a seed of their own."""
    model: ModelConfig = MISSING
    data: DataConfig = MISSING
    prompt: PromptConfig = field(default_factory=PromptConfig)
    trainer: TrainerConfig = MISSING
    recipe: RecipeConfig = field(default_factory=RecipeConfig)
    """How models are made here: by unlearn-memorise, and by the other commands for a sandbox that is not built yet."""
    cache_dir: str = "outputs/cache"
    """Sandbox variants and evaluation results, keyed by content."""


@dataclass
class ScoredConfig(CommonConfig):
    """Keys that every command which ends with the scores of one model has."""

    evaluation: EvaluationConfig = MISSING
    logger: LoggerConfig = MISSING


@dataclass
class UnlearnConfig(ScoredConfig):
    """The whole pipeline: load, trace, unlearn, evaluate, report."""

    method: str = MISSING
    """Label of the preset."""
    objective: ObjectiveConfig = MISSING
    scope: ScopeConfig = MISSING
    schedule: ScheduleConfig = MISSING
    ratio: RatioConfig = MISSING
    optimizer: ForgettingOptimizerConfig = field(default_factory=ForgettingOptimizerConfig)
    noised_start: NoisedStartConfig = field(default_factory=NoisedStartConfig)
    repselect: RepSelectConfig | None = None
    """Takes the place of the plan's optimiser steps; null: they are made."""
    stopping: StoppingConfig = field(default_factory=StoppingConfig)
    trace: TraceConfig = MISSING
    probes: dict[str, ProbeConfig] = field(default_factory=dict)
    """Probes of the unlearned model after its evaluation, by name; chosen by `probe=[...]`."""
    tuned: TunedConfig = field(default_factory=TunedConfig)
    update_scale: float = 1.0
    """After training, weights become start + update_scale * (trained - start); -1 negates a task vector."""
    save_model: bool = True
    """Whether the merged weights (and the adapter, with LoRA) are written to the run folder."""
    optimized: list[str] = field(default_factory=lambda: ["final"])
    """One metric or more (keys of metrics.json) that a job returns to a sweeper that searches, such as Optuna's; with
    several, the search looks for their Pareto front."""

    def check(self, _: str) -> None:
        """Raise InputError for a scale that undoes or breaks the training, and for a search without a metric."""
        require(bool(self.optimized), "optimized", self.optimized, "one metric or more")
        scale = self.update_scale
        require(math.isfinite(scale) and scale != 0, "update_scale", scale, "a finite number other than 0")


@dataclass
class MemoriseConfig(ScoredConfig):
    """Train a model until it has memorised the rows: the one at model.path, or a new one where that is null."""

    scope: ScopeConfig = MISSING
    """Which weights memorise: knowledge can be planted in chosen layers of a model that lacks it."""
    forget: bool = True
    """False: leave the forget set out, which makes the retrained model."""
    assets: str | None = None
    """Folder for the sandbox's target and retrained model, both made in half precision; null: an ordinary run."""


@dataclass
class TraceCommandConfig(CommonConfig):
    """Causal mediation analysis alone."""

    trace: TraceConfig = MISSING
    logger: LoggerConfig = MISSING


@dataclass
class EvaluateConfig(ScoredConfig):
    """Score one model."""


class Combination(StrEnum):
    """How PEFT makes one adapter of several; those that end in _svd work on B @ A, the others on A and B apart."""

    linear = "linear"
    """Weighted sum."""
    ties = "ties"
    """Trim, elect a sign, mean of those that agree (Yadav et al. 2023, arXiv 2306.01708)."""
    dare_linear = "dare_linear"
    """Drop at random and rescale (Yu et al. 2023, arXiv 2311.03099), then a weighted sum."""
    dare_ties = "dare_ties"
    magnitude_prune = "magnitude_prune"
    """Keep the largest, then a weighted sum."""
    cat = "cat"
    """The adapters side by side, which is the exact weighted sum; the ranks add up."""
    svd = "svd"
    """The exact weighted sum, cut to the largest of the ranks."""
    ties_svd = "ties_svd"
    dare_linear_svd = "dare_linear_svd"
    dare_ties_svd = "dare_ties_svd"
    magnitude_prune_svd = "magnitude_prune_svd"


class MajoritySign(StrEnum):
    """What elects the sign of an entry in TIES."""

    total = "total"
    """The sum of its values."""
    frequency = "frequency"
    """The number of values of each sign."""


@dataclass
class MergeConfig(ScoredConfig):
    """Merge the adapters of finished runs into one, and score it.

    The defaults are ZJUKLAB's at SemEval-2025 Task 4 (arXiv 2503.21088).
    """

    method: str = "merge"
    """Label in comparisons."""
    adapters: list[str] = field(default_factory=list)
    """Two folders or more: of runs, or of adapters themselves."""
    weights: list[float] | None = None
    """One number for each adapter; null: all are 1."""
    combination: Combination = Combination.ties
    density: float = within("(0, 1]", 0.8)
    """Share of an adapter's entries that is kept; linear, cat and svd keep all of them."""
    majority_sign_method: MajoritySign = MajoritySign.total
    save_model: bool = True
    """Whether the merged weights and the merged adapter are written to the run folder."""

    def check(self, _: str) -> None:
        """Raise InputError for adapters or weights that cannot be merged."""
        count = len(self.adapters)
        require(count >= 2, "adapters", self.adapters, "two folders or more: adapters=[outputs/a,outputs/b]")
        given = self.weights
        require(given is None or len(given) == count, "weights", given, f"{count} numbers, one of each adapter")
        finite = given is None or all(map(math.isfinite, given))
        require(finite and (given is None or any(given)), "weights", given, "finite and not all 0")


@dataclass
class ProbeCommandConfig(CommonConfig):
    """Ask in many ways whether what a model has forgotten is gone: a finished run's model, or that of model.path."""

    run: str | None = None
    """Folder of a finished run of unlearn or unlearn-merge: its model, data, prompt and recipe are taken in place of
    those here. Null: model.path is probed."""
    target: str | None = None
    """Folder or repository id of the model before unlearning, where run is null; null: shares recovered are unknown."""
    evaluation: EvaluationConfig = MISSING
    probes: dict[str, ProbeConfig] = field(default_factory=dict)
    """One probe or more, by name; chosen by `probe=[...]`."""

    def check(self, _: str) -> None:
        """Raise InputError unless one model is named, and one probe or more."""
        given = self.model.path
        require(self.run is not None or given is not None, "run", "null", "a run's folder, or give model.path")
        require(self.run is None or self.target is None, "target", self.target, "null with run, which knows its own")
        require(self.run is None or given is None, "model.path", given, "null with run, which has its own model")
        require(bool(self.probes), "probe", [], "one probe or more: probe=[relearning,int4]")
