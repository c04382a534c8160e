"""Causal mediation analysis, from rows to files: which layers of a model hold the answers.

The idea (Vig et al. 2020; Meng et al. 2022, arXiv 2202.05262): a model that knows a fact answers a question about a
person. Take away what tells it who the person is, give one inner state back, and see how much of the answer returns.

- The clean run is the question as it is. The model gives the answer.
- The corrupted run is the question with the person hidden, by noise on the name's embeddings or by another name
  (`runs`). The model cannot give the answer.
- A restoration puts one state of the clean run into the corrupted run: the output of one layer, or of its MLP or
  attention, at the tokens of the name (`states`). Such a replacement is called a patch.

With a score such as the answer's log-probability (`result.Metric`):

    total effect    = score(clean run) - score(corrupted run)
    indirect effect = score(corrupted run with one clean state) - score(corrupted run)          direction=denoising
                    = score(clean run) - score(clean run with one corrupted state)              direction=noising

A state whose indirect effect is large carries what the model knows about the person on to the answer. The placebo is
the same patch with the state of a question about yet another person: it shows the effect of patching as such.

The way of a trace: `known_facts` chooses facts that the model knows, `tracer` scores every state of each of them,
`effects` takes means with intervals, `selection` chooses layers, and `layers` and `effects_table` write the files.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from lightning_fabric import Fabric
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.config.prompt import PromptConfig
from unlearning.config.trace import NoiseUnit, TraceConfig, TracedSplit, TraceMode
from unlearning.data.rows import Row
from unlearning.errors import InputError
from unlearning.mediation.effects_table import write_table
from unlearning.mediation.encoded_fact import EncodedFact
from unlearning.mediation.gradients import layer_gradients
from unlearning.mediation.known_facts import ASKED_TOGETHER, KnownFacts, find_known_facts
from unlearning.mediation.layers import write_layers
from unlearning.mediation.model_parts import find_parts
from unlearning.mediation.result import METRICS, FactTrace, LayerGradients, Metric, Scores, Screening, TraceResult
from unlearning.mediation.resumable import measure_facts
from unlearning.mediation.rules import READS_GRADIENTS
from unlearning.mediation.runs import clean_run, record_run
from unlearning.mediation.screening import COMPARED, estimate, screening
from unlearning.mediation.selection import Selection, or_stronger_noise, select
from unlearning.mediation.self_test import self_test
from unlearning.mediation.tracer import Tracer
from unlearning.mediation.weight_swap import ancestry, ancestry_warning, trace_weights

LAYERS, EFFECTS = "layers.json", "effects.parquet"
FINISHED, FINISHED_EXACT = "facts.partial.jsonl", "exact.partial.jsonl"
"""Facts that are finished; and, with mode=screen, those whose exact effects the estimates are compared with."""


@dataclass(frozen=True)
class TraceOutcome:
    """What a trace measured, and the layers that were chosen by it."""

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
) -> TraceOutcome | None:
    """Trace facts of the rows, choose layers, and write layers.json and effects.parquet into `out`.

    Facts of config.split are traced. The rows of the other split give names and answers of other persons; both splits
    give the gradient baselines. The facts are divided among the fabric's processes, each of which has the model on its
    device. All processes but the first return None.

    Finished facts are kept beside the results, so that a second call with the same settings continues after the last
    one. If only the choice of layers is another (select, rule, value), nothing is traced again.

    Raises:
        InputError: no row is a fact, the model knows none of them, the corruption changes the answer of none of them,
            the architecture cannot be traced (`self_test`), or see `encode_facts`, `Tracer` and `select`.
    """
    result, facts = trace_facts(model, tokenizer, forget, retain, config, prompt, out, fabric, base)
    if not fabric.is_global_zero:
        return None
    # What was measured is written before a layer is chosen by it, for that may be refused.
    write_table(out / EFFECTS, result)
    gradients, without = _gradients(model, facts, config)
    selection = select(result, config, gradients)
    unrelated = ancestry_warning(ancestry(model, base)) if base is not None else None
    reasons = tuple(line for line in (without, unrelated) if line is not None)
    selection = replace(selection, warnings=(*selection.warnings, *reasons))
    write_layers(out / LAYERS, model, selection, result, config)
    return TraceOutcome(result, selection)


def _gradients(
    model: PreTrainedModel, facts: KnownFacts, config: TraceConfig
) -> tuple[LayerGradients | None, str | None]:
    """Return the gradient baselines, or the reason why there are none.

    Raises:
        InputError: there are none, and the rule needs them.
    """
    forget, retain = facts.known, facts.other_split
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
) -> tuple[TraceResult, KnownFacts]:
    """Return the scores of up to `config.facts` facts that the model knows, complete on the fabric's first process.

    Raises:
        InputError: as in `trace`.
    """
    tracer = Tracer(model, config, base)
    self_test(tracer)
    rows, others = (forget, retain) if config.split is TracedSplit.forget else (retain, forget)
    facts = find_known_facts(tracer, tokenizer, rows, others, config, prompt)
    traces, compared, noise_scale = _traces(tracer, facts, base, out, fabric)
    metric = METRICS.index(Metric.ANSWER_LOG_PROBABILITY)
    costs = {item.fact: _total_effect(item, metric) for item in traces}
    result = TraceResult(
        restorations=tracer.restorations,
        depth=tracer.depth,
        mode=config.mode,
        direction=config.direction,
        noise=noise_scale,
        traces=tuple(item for item in traces if costs[item.fact] > config.min_total_effect),
        counts=replace(
            facts.counts,
            below_min_effect=tuple(fact for fact, cost in costs.items() if not cost > config.min_total_effect),
        ),
        screening=compared,
    )
    if fabric.is_global_zero and not result.traces:
        write_table(out / EFFECTS, replace(result, traces=tuple(traces)))
        raise InputError(
            f"tracing: the corruption costs none of {len(traces)} facts more than trace.min_total_effect="
            f"{config.min_total_effect:g} nats a token, so there is nothing to trace; the most is "
            f"{max(costs.values()):g}, set trace.min_total_effect below that{or_stronger_noise(config)}"
        )
    return result, facts


def _traces(
    tracer: Tracer, found: KnownFacts, base: PreTrainedModel | None, out: Path, fabric: Fabric
) -> tuple[list[FactTrace], Screening | None, float]:
    """Return all facts' traces in the mode asked for, how good the estimates are, and the noise's size."""
    config, facts = tracer.config, found.known
    if config.mode is TraceMode.weights:
        if base is None:
            raise InputError("trace.mode=weights: needs trace.base_model, the model before it memorised")
        traces = trace_weights(tracer.parts.model, base, facts, config, _scores) if fabric.is_global_zero else []
        return traces, None, 0.0
    by_names = config.noise_unit is NoiseUnit.names
    scale = tracer.noise_scale_of(found.name_tokens) if by_names else tracer.noise_scale(facts)
    path = out / FINISHED
    if config.mode is TraceMode.exact:
        return measure_facts(tracer, tracer.trace, facts, scale, path, fabric, "tracing facts"), None, scale
    estimated = measure_facts(tracer, partial(estimate, tracer), facts, scale, path, fabric, "estimating facts")
    exactly = Tracer(tracer.parts.model, replace(config, mode=TraceMode.exact, placebo=False), base)
    title, compared = "tracing facts to compare", facts[:COMPARED]
    exact = measure_facts(exactly, exactly.trace, compared, scale, out / FINISHED_EXACT, fabric, title)
    if not fabric.is_global_zero:
        return estimated, None, scale
    return estimated, screening(estimated[: len(exact)], exact, tracer.restorations, config.direction), scale


def _scores(model: PreTrainedModel, facts: Sequence[EncodedFact]) -> Scores:
    """Return the scores (facts, M) of the clean run."""
    parts = find_parts(model, ())
    groups = [facts[first : first + ASKED_TOGETHER] for first in range(0, len(facts), ASKED_TOGETHER)]
    return np.concatenate([record_run(clean_run(parts, group)).scores[:, 0].numpy() for group in groups])


def _total_effect(item: FactTrace, metric: int) -> float:
    """Return clean minus corrupted in one metric, the corrupted runs averaged."""
    return float(item.clean[metric] - item.corrupted[:, metric].mean())
