"""Causal mediation analysis from rows to files: which blocks hold the answers."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.artefacts import write_csv
from unlearning.config import PromptConfig, TraceConfig
from unlearning.data.rows import Row
from unlearning.errors import InputError
from unlearning.mediation.facts import facts_from_rows, spread
from unlearning.mediation.journal import Journal, fingerprint
from unlearning.mediation.layers import write_layers
from unlearning.mediation.result import COLUMNS, TraceResult
from unlearning.mediation.selection import Selection, select
from unlearning.mediation.subject import Probe, locate
from unlearning.mediation.tracing import Tracer

LAYERS, EFFECTS, JOURNAL = "layers.json", "effects.csv", "facts.partial.jsonl"


def trace(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Row],
    config: TraceConfig,
    prompt: PromptConfig,
    out: Path,
) -> Selection:
    """Trace facts of the rows and choose blocks; writes layers.json and effects.csv into `out`.

    Facts that are finished are kept beside them as they come, so that a second call with the same settings goes
    on after the last; only another choice of blocks (select, rule, value) costs no tracing at all.

    Raises:
        InputError: no row is a fact, the model knows none of them, or see `locate`, `Tracer` and `select`.
    """
    result = trace_facts(model, tokenizer, rows, config, prompt, out / JOURNAL)
    write_csv(out / EFFECTS, COLUMNS, result.tidy())
    selection = select(result, config)
    write_layers(out / LAYERS, model, selection, result, config)
    return selection


def trace_facts(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Row],
    config: TraceConfig,
    prompt: PromptConfig,
    journal_path: Path,
) -> TraceResult:
    """Scores of up to `config.facts` facts that the model knows, in the order of `spread`.

    Raises:
        InputError: as `trace`.
    """
    facts = spread(facts_from_rows(rows), config.seed)
    if not facts:
        raise InputError(f"tracing: none of the {len(rows)} rows asks an official question about a person")
    tracer = Tracer(model, config)
    probes = (locate(fact, tokenizer, prompt) for fact in facts)
    known, unknown = _known(tracer, probes, config.facts)
    if not known:
        raise InputError(f"tracing: the model begins none of {len(facts)} answers right, so it knows no fact")
    scale = tracer.noise_scale(known)
    journal = Journal(journal_path, fingerprint(model, config, known, scale))
    with _progress() as progress:
        for probe in progress.track(known, description="tracing facts"):
            if probe.fact.id not in journal.finished:
                journal.append(tracer.trace(probe, scale))
    traces = tuple(journal.finished[probe.fact.id] for probe in known)
    left_over = len(facts) - len(known) - len(unknown)
    return TraceResult(tracer.kinds, len(tracer.blocks), scale, traces, tuple(unknown), left_over)


def _known(tracer: Tracer, probes: Iterable[Probe], limit: int) -> tuple[list[Probe], list[str]]:
    """The first `limit` probes whose answer the model begins right, and the ids of those before that it does not."""
    known: list[Probe] = []
    unknown: list[str] = []
    for probe in probes:
        if len(known) == limit:
            break
        if tracer.knows(probe):
            known.append(probe)
        else:
            unknown.append(probe.fact.id)
    return known, unknown


def _progress() -> Progress:
    """A bar on standard error."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))
