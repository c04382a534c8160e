"""The stages of a run in order: load, trace, evaluate what was, unlearn, evaluate what is, report.

Each stage leaves its artefact in the run folder, written whole or not at all; a run that is taken up again in the same
folder starts with the first stage that is not there yet.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from omegaconf import DictConfig
from rich.console import Console
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning import run_folder, tracking
from unlearning.config import (
    CommonConfig,
    EvaluateConfig,
    TraceCommandConfig,
    TracedScopeConfig,
    UnlearnConfig,
)
from unlearning.data.readers import load_corpus
from unlearning.data.rows import Corpus
from unlearning.evaluation.cache import cached_evaluate
from unlearning.evaluation.result import EvaluationResult
from unlearning.mediation.selection import Selection
from unlearning.mediation.trace import read_layers, trace
from unlearning.memorise import sandbox_folder
from unlearning.models.load import load_model, load_tokenizer
from unlearning.training.fit import on_main_process, weights_dtype
from unlearning.training.stage import unlearn_model

console = Console()


@dataclass
class Stages:
    """Wall-clock seconds of each stage, announced as they begin."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time one stage."""
        if on_main_process():
            console.print(f"[bold cyan]>[/bold cyan] {name}")
        start = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - start, 3)


@dataclass(frozen=True)
class Subject:
    """What a run is about: the data and the model that memorised it."""

    corpus: Corpus
    path: str
    gold_path: str | None
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def load_subject(config: CommonConfig) -> Subject:
    """Read the data and load the target, building the sandbox's models where they are not there yet.

    Raises InputError for data or a model that cannot be used.
    """
    corpus = load_corpus(config.data)
    if config.model.path is not None:
        path, gold = config.model.path, config.model.gold
    else:
        folder = sandbox_folder(config)
        path, gold = str(folder / "target"), config.model.gold or str(folder / "gold")
    tokenizer = load_tokenizer(path, config.model)
    model = load_model(path, config.model, weights_dtype(config.trainer))
    return Subject(corpus, path, gold, model, tokenizer)


def run_unlearn(config: UnlearnConfig, cfg: DictConfig, run_dir: Path) -> None:
    """The whole pipeline into one run folder. Raises InputError for what a user can mend."""
    stages = Stages()
    if on_main_process():
        console.rule(f"[bold]{config.name}[/bold]  seed {config.seed}  {run_dir}", align="left")
    with stages.stage("load"):
        subject = load_subject(config)
    traced = None
    if isinstance(config.scope, TracedScopeConfig):
        with stages.stage("trace"):
            traced = _traced_blocks(config, config.scope, subject, run_dir)
    results: dict[str, EvaluationResult] = {}
    if config.evaluation.references and on_main_process():
        with stages.stage("evaluate target and gold"):
            results |= _references(config, subject)
    with tracking.session(config, run_dir, cfg) as logger:
        with stages.stage("unlearn"):
            unlearned = unlearn_model(config, subject.model, subject.tokenizer, subject.corpus, traced, run_dir, logger)
        if not on_main_process():
            return
        with stages.stage("save and evaluate"):
            model = run_folder.save_weights(config, unlearned, subject.tokenizer, run_dir)
            results["unlearned"] = _evaluate(config, subject, model, config.method)
        run_folder.save_outcome(config, subject, traced, unlearned.record, results, stages.seconds, run_dir)
        tracking.summarise(logger, results["unlearned"], run_dir)
    (run_dir / "checkpoint.safetensors").unlink(missing_ok=True)


def run_trace(config: TraceCommandConfig, run_dir: Path) -> None:
    """Trace a model's facts; layers.json and the effects go to the run folder."""
    stages = Stages()
    with stages.stage("load"):
        subject = load_subject(config)
    with stages.stage("trace"):
        model = subject.model.to(_device(config))  # type: ignore[arg-type]
        selection = trace(model, subject.tokenizer, subject.corpus.forget, config.trace, config.prompt, run_dir)
    console.print(f"blocks {selection.blocks} ({selection.kind}), written to {run_dir / 'layers.json'}")


def run_evaluate(config: EvaluateConfig, run_dir: Path) -> None:
    """Score a model; results go to the run folder and, as a table, to the terminal."""
    from unlearning.report.compare import print_result

    stages = Stages()
    with stages.stage("load"):
        subject = load_subject(config)
    with stages.stage("evaluate"):
        result = _evaluate(config, subject, subject.model, config.model.name)
    run_folder.save_evaluation(config.model.name, result, run_dir)
    print_result(config.model.name, result)
    console.print(f"written to {run_dir}")


def _traced_blocks(config: UnlearnConfig, scope: TracedScopeConfig, subject: Subject, run_dir: Path) -> Selection:
    """The blocks of the layers file that the scope names, or of a trace made now on the forget set."""
    if scope.layers is not None:
        return read_layers(Path(scope.layers))
    model = subject.model.to(_device(config))  # type: ignore[arg-type]
    selection = trace(model, subject.tokenizer, subject.corpus.forget, config.trace, config.prompt, run_dir)
    console.print(f"  blocks {selection.blocks} ({selection.kind})")
    return selection


def _references(config: UnlearnConfig, subject: Subject) -> dict[str, EvaluationResult]:
    results = {"target": _evaluate(config, subject, subject.model, "target")}
    if subject.gold_path is not None:
        gold = load_model(subject.gold_path, config.model, weights_dtype(config.trainer))
        results["gold"] = _evaluate(config, subject, gold, "gold")
    return results


def _evaluate(
    config: UnlearnConfig | EvaluateConfig, subject: Subject, model: PreTrainedModel, label: str
) -> EvaluationResult:
    return cached_evaluate(
        model.to(_device(config)),  # type: ignore[arg-type]
        subject.tokenizer,
        subject.corpus,
        config.evaluation,
        config.prompt,
        label,
        Path(config.cache_dir),
    )


def _device(config: CommonConfig) -> torch.device:
    on_gpu = config.trainer.accelerator != "cpu" and torch.cuda.is_available()
    return torch.device("cuda" if on_gpu else "cpu")
