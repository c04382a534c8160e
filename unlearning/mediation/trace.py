"""Causal mediation analysis from rows to files: which layers hold the answers."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.config.prompt import PromptConfig
from unlearning.config.trace import TraceConfig, TracedSplit, TraceMode
from unlearning.data.rows import Row
from unlearning.errors import InputError
from unlearning.mediation.candidates import ASKED_TOGETHER, Candidates, candidates
from unlearning.mediation.effects_table import write_table
from unlearning.mediation.gradients import layer_gradients
from unlearning.mediation.journal import Journal, fingerprint, of_rank, read_journal
from unlearning.mediation.layers import write_layers
from unlearning.mediation.open_model import open_model
from unlearning.mediation.result import METRICS, FactTrace, LayerGradients, Metric, Scores, Screening, TraceResult
from unlearning.mediation.rules import READS_GRADIENTS
from unlearning.mediation.runs import clean_run, record
from unlearning.mediation.screening import AUDITED, estimate, screening
from unlearning.mediation.selection import Selection, select
from unlearning.mediation.selftest import self_test
from unlearning.mediation.subject import Probe
from unlearning.mediation.tracing import Tracer
from unlearning.mediation.weight_swap import ancestry, ancestry_warning, trace_weights

LAYERS, EFFECTS, JOURNAL, AUDIT = "layers.json", "effects.parquet", "facts.partial.jsonl", "audit.partial.jsonl"
FACTS_TOGETHER = 4
"""Facts that share forward passes, and that a kill may lose."""


@dataclass(frozen=True)
class Traced:
    """What a trace found."""

    result: TraceResult
    selection: Selection


def trace(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    forget: Sequence[Row],
    retain: Sequence[Row],
    config: TraceConfig,
    prompt: PromptConfig,
    out: Path,
    fabric: Fabric,
    base: PreTrainedModel | None = None,
) -> Traced | None:
    """Trace facts of the rows and choose layers; writes layers.json and effects.parquet into `out`.

    Facts of config.split are traced; the other rows give names and answers of others, and both the gradient baselines.
    The facts are divided among the fabric's processes, each of which has the model on its device; all but the first
    return None.

    Facts that are finished are kept beside the results as they come, so that a second call with the same settings goes
    on after the last; only another choice of layers (select, rule, value) costs no tracing at all.

    Raises:
        InputError: no row is a fact, the model knows none of them, the corruption moves none of them, the
            architecture cannot be traced (`self_test`), or see `locate`, `Tracer` and `select`.
    """
    result, found = trace_facts(model, tokenizer, forget, retain, config, prompt, out, fabric, base)
    if not fabric.is_global_zero:
        return None
    gradients, without = _gradients(model, found, config)
    selection = select(result, config, gradients)
    unrelated = ancestry_warning(ancestry(model, base)) if base is not None else None
    reasons = tuple(line for line in (without, unrelated) if line is not None)
    selection = replace(selection, warnings=(*selection.warnings, *reasons))
    write_table(out / EFFECTS, result)
    write_layers(out / LAYERS, model, selection, result, config)
    return Traced(result, selection)


def _gradients(
    model: PreTrainedModel, found: Candidates, config: TraceConfig
) -> tuple[LayerGradients | None, str | None]:
    """The gradient baselines; or why there are none, unless the rule needs them."""
    forget, retain = found.known, found.others
    if config.split is TracedSplit.retain:
        forget, retain = retain, forget
    try:
        return layer_gradients(model, forget, retain, config.select), None
    except InputError as error:
        if config.rule in READS_GRADIENTS:
            raise
        return None, f"no gradient baselines: {error}"


def trace_facts(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    forget: Sequence[Row],
    retain: Sequence[Row],
    config: TraceConfig,
    prompt: PromptConfig,
    out: Path,
    fabric: Fabric,
    base: PreTrainedModel | None = None,
) -> tuple[TraceResult, Candidates]:
    """Scores of up to `config.facts` facts that the model knows, complete on the fabric's first process.

    Raises:
        InputError: as `trace`.
    """
    tracer = Tracer(model, config, base)
    self_test(tracer)
    rows, others = (forget, retain) if config.split is TracedSplit.forget else (retain, forget)
    found = candidates(tracer, tokenizer, rows, others, config, prompt)
    traces, audit, scale = _traces(tracer, found.known, base, out, fabric)
    metric = METRICS.index(Metric.ANSWER_LOG_PROBABILITY)
    moved = [item for item in traces if _total(item, metric) > config.min_total_effect]
    unmoved = tuple(item.fact for item in traces if _total(item, metric) <= config.min_total_effect)
    if fabric.is_global_zero and not moved:
        raise InputError(
            f"tracing: the corruption costs none of {len(traces)} facts more than trace.min_total_effect="
            f"{config.min_total_effect} nats a token, so there is nothing to trace"
        )
    result = TraceResult(
        restorations=tracer.restorations,
        depth=tracer.depth,
        mode=config.mode,
        direction=config.direction,
        noise=scale,
        traces=tuple(moved),
        counts=replace(found.counts, unmoved=unmoved),
        screening=audit,
    )
    return result, found


def _traces(
    tracer: Tracer, known: Sequence[Probe], base: PreTrainedModel | None, out: Path, fabric: Fabric
) -> tuple[list[FactTrace], Screening | None, float]:
    """All facts' traces in the mode that was asked for, how good the estimates are, and the noise's size."""
    config = tracer.config
    if config.mode is TraceMode.weights:
        if base is None:
            raise InputError("trace.mode=weights: needs trace.base_model, the model before it memorised")
        traces = trace_weights(tracer.opened.model, base, known, config, _scores) if fabric.is_global_zero else []
        return traces, None, 0.0
    scale = tracer.noise_scale(known)
    if config.mode is TraceMode.exact:
        return _journalled(tracer, tracer.trace, known, scale, out / JOURNAL, fabric, "tracing facts"), None, scale
    estimated = _journalled(
        tracer,
        partial(estimate, tracer),
        known,
        scale,
        out / JOURNAL,
        fabric,
        "estimating facts",
    )
    exactly = Tracer(tracer.opened.model, replace(config, mode=TraceMode.exact, placebo=False), base)
    audited = known[:AUDITED]
    exact = _journalled(exactly, exactly.trace, audited, scale, out / AUDIT, fabric, "tracing facts to compare")
    if not fabric.is_global_zero:
        return estimated, None, scale
    return estimated, screening(estimated[: len(exact)], exact, tracer.restorations, config.direction), scale


def _journalled(
    tracer: Tracer,
    measure: Callable[[Sequence[Probe], float], list[FactTrace]],
    probes: Sequence[Probe],
    scale: float,
    path: Path,
    fabric: Fabric,
    title: str,
) -> list[FactTrace]:
    """What `measure` says of each probe, a few at a time, each group by one process; all of it on the first one.

    A group of which anything is missing is measured again as a whole, so that its numbers are the same to the bit.
    """
    models = [opened.model for opened in (tracer.opened, tracer.base) if opened is not None]
    key = fingerprint(models, tracer.config, probes, scale)
    if fabric.is_global_zero:
        journal = Journal(path, key)
        journal.absorb()
        finished = journal.finished
    fabric.barrier()
    if not fabric.is_global_zero:
        journal, finished = Journal(of_rank(path, fabric.global_rank), key), read_journal(path, key)
    groups = [probes[first : first + FACTS_TOGETHER] for first in range(0, len(probes), FACTS_TOGETHER)]
    own = groups[fabric.global_rank :: fabric.world_size]
    with _together(fabric), _progress(fabric) as progress:
        task = progress.add_task(title, total=sum(map(len, own)))
        for group in own:
            if not all(probe.fact.id in finished for probe in group):
                journal.append(measure(group, scale))
            progress.advance(task, len(group))
    if not fabric.is_global_zero:
        return []
    journal.absorb()
    return [journal.finished[probe.fact.id] for probe in probes]


@contextmanager
def _together(fabric: Fabric) -> Iterator[None]:
    """Leave when all processes do: where one is refused its facts, all end, and none waits for it for ever."""
    failure: InputError | None = None
    try:
        yield
    except InputError as error:
        failure = error
    reduced: Any = fabric.all_reduce(torch.tensor(float(failure is not None), device=fabric.device), reduce_op="sum")
    failed = float(reduced)
    if failure is not None:
        raise failure
    if failed:
        raise InputError(f"tracing: {failed:.0f} of {fabric.world_size} processes could not trace all of their facts")


def _scores(model: PreTrainedModel, probes: Sequence[Probe]) -> Scores:
    """(facts, M) of the probes as they are."""
    opened = open_model(model, ())
    parts = [probes[first : first + ASKED_TOGETHER] for first in range(0, len(probes), ASKED_TOGETHER)]
    return np.concatenate([record(clean_run(opened, part)).scores[:, 0].numpy() for part in parts])


def _total(item: FactTrace, metric: int) -> float:
    return float(item.clean[metric] - item.corrupted[:, metric].mean())


def _progress(fabric: Fabric) -> Progress:
    """A bar on standard error, of the first process alone."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), disable=not fabric.is_global_zero)
