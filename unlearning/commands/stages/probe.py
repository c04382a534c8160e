"""The stage that probes: each probe is put to the unlearned model, to the target and to the retrained model."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console
from transformers import PreTrainedModel

from unlearning.artefacts import write_csv, write_json, write_jsonl
from unlearning.commands.stages.load import RunInputs
from unlearning.commands.stages.probe_measurements import ProbeSettings, measurements
from unlearning.config.build import build
from unlearning.config.commands import UnlearnConfig
from unlearning.config.model import Quantization
from unlearning.config.probe import ProbeConfig, QuestionsConfig
from unlearning.errors import InputError
from unlearning.locks.lock import LOCK, only_one
from unlearning.models.load import load_model
from unlearning.probes.adapter import AdapterRemoved
from unlearning.probes.models_to_probe import ModelsToProbe
from unlearning.probes.probe import Measurement, Probe
from unlearning.probes.table import CSV_COLUMNS, ModelRole, ProbeResult, csv_row, make_result, read_results, table_json
from unlearning.probes.worst_case import WORST_CASE, WorstCase
from unlearning.training.trainer import merged_dtype
from unlearning.training.unlearn import TrainedModel

PROBES, CSV, ANSWERS = "probes.json", "probes.csv", "probe_answers.jsonl"
UNPROBED = "unprobed"
"""Name of the result that all others are compared with: the rows' questions as they are."""
NO_ADAPTER = "the model was not released as an adapter"


def probe_unlearned(
    config: UnlearnConfig,
    inputs: RunInputs,
    unlearned: TrainedModel,
    merged: PreTrainedModel,
    run_dir: Path,
) -> dict[str, ProbeResult]:
    """Probe the model that a run has just made. `merged` is that model with its adapters merged into the weights.

    Returns and raises as `probe_models`.
    """
    from peft import PeftModel

    in_full = replace(config.model, quantization=Quantization.none)
    load_in_full = partial(load_model, config=in_full, dtype=merged_dtype(config.trainer, config.model))
    models: dict[ModelRole, Callable[[], PreTrainedModel]] = {
        ModelRole.unlearned: lambda: merged,
        ModelRole.target: partial(load_in_full, inputs.target_path),
    }
    if inputs.retrained_path is not None:
        models[ModelRole.retrained] = partial(load_in_full, inputs.retrained_path)
    to_probe = ModelsToProbe(models, inputs.tokenizer, inputs.corpus, isinstance(unlearned.model, PeftModel))
    settings = ProbeSettings(config.prompt, config.evaluation, config.trainer, Path(config.cache_dir))
    return probe_models(config.probes, to_probe, settings, run_dir)


def probe_summary(results: Mapping[str, ProbeResult]) -> dict[str, float]:
    """Return the share that each probe recovered, where it is known, for comparisons between runs."""
    return {f"probe/{name}": result.share.value for name, result in results.items() if result.share is not None}


def probe_models(
    configs: Mapping[str, ProbeConfig], to_probe: ModelsToProbe, settings: ProbeSettings, run_dir: Path
) -> dict[str, ProbeResult]:
    """Put every probe to every model, and return each probe's result by its name.

    probes.json and probes.csv are written anew after each measurement, probe_answers.jsonl at the end. Raises
    InputError where a model or a row cannot be used, Interrupted on Ctrl-C while a probe trains.
    """
    configs = {UNPROBED: QuestionsConfig(), **configs}
    probes: dict[str, Probe] = {name: build(config) for name, config in configs.items()}
    found: dict[str, dict[ModelRole, Measurement]] = {name: {} for name in probes}
    removes_adapter = {name for name, probe in probes.items() if isinstance(probe, AdapterRemoved)}
    reasons = {} if to_probe.adapter else dict.fromkeys(removes_adapter, NO_ADAPTER)
    for role, name, measurement in measurements(configs, probes, reasons, to_probe, settings):
        if isinstance(measurement, str):
            reasons[name] = measurement
        else:
            found[name][role] = measurement
            if role is ModelRole.target and name in removes_adapter:
                # Without its adapter the unlearned model is the target.
                found[name][ModelRole.unlearned] = measurement
        results = {one: make_result(one, probes[one], found[one], reasons.get(one)) for one in probes}
        _write_results(run_dir, results)
    worst = WorstCase(probes)
    if together := worst.measurements(found, frozenset(to_probe.models)):
        results[WORST_CASE] = make_result(WORST_CASE, worst, together, None)
        _write_results(run_dir, results)
    _write_answers(run_dir / ANSWERS, found | {WORST_CASE: together})
    return results


def add_results(results: Mapping[str, ProbeResult], folder: Path) -> None:
    """Add the results to the table of the run that was probed, in place of earlier results of the same probes.

    One command at a time does so, so that none loses what another one added. A folder that cannot be written is left as
    it is, with a warning.
    """
    try:
        with only_one(folder / LOCK):
            _write_results(folder, {**_results_in(folder), **results})
    except (OSError, InputError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        Console(stderr=True).print(f"warning: {folder}: its table of probes is not written ({reason})")


def _results_in(folder: Path) -> dict[str, ProbeResult]:
    """Return the results in a folder's table; none where there is no table that can be read."""
    try:
        return read_results(json.loads((folder / PROBES).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _write_results(folder: Path, results: Mapping[str, ProbeResult]) -> None:
    write_json(folder / PROBES, table_json(results))
    write_csv(folder / CSV, CSV_COLUMNS, [csv_row(result) for result in results.values()])


def _write_answers(path: Path, found: Mapping[str, Mapping[ModelRole, Measurement]]) -> None:
    """Write each row's score and answer, by probe and model."""
    write_jsonl(
        path,
        [
            {"probe": name, "model": role.value, "id": item.id, "score": item.score, "answer": item.answer}
            for name, by_role in found.items()
            for role, measurement in by_role.items()
            for item in measurement.items
        ],
    )
