"""The stage that probes: each probe asks the unlearned model, the one before unlearning and the retrained model.

What a probe found in a model is kept in the cache under a hash of all it depends on, so that a run that was killed goes
on where it was, and the target and the retrained model are asked once for all runs.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from transformers import PreTrainedModel

from unlearning.artefacts import write_csv, write_json, write_jsonl
from unlearning.commands.subject import Subject
from unlearning.config import EvaluationConfig, PromptConfig, Supervised, TrainerConfig, UnlearnConfig
from unlearning.config.model import Quantization
from unlearning.config.probe import ProbeConfig, QuestionsConfig
from unlearning.data.corpus import fingerprint
from unlearning.evaluation.cache import METRICS_VERSION, model_settings, tokenizer_hash, weights_hash
from unlearning.evaluation.generation import end_tokens
from unlearning.evaluation.model_state import require_match
from unlearning.identity import settings_hash
from unlearning.models.load import load_model
from unlearning.probes.adapter import AdapterRemoved
from unlearning.probes.probe import DoesNotApplyError, Measurement, Probe, Probed
from unlearning.probes.suspects import Suspects
from unlearning.probes.table import CSV_COLUMNS, Line, Role, csv_row, make_line, read_lines, table_json
from unlearning.training.hardware import one_device
from unlearning.training.stage import Unlearned, build
from unlearning.training.trainer import merged_dtype, resolve_precision

PROBES, CSV, ANSWERS = "probes.json", "probes.csv", "probe_answers.jsonl"
PROBES_VERSION = 1
"""To be raised with every change of the code that can change what a probe finds."""
UNPROBED = "unprobed"
"""Name of the line that all others are compared with: the questions as they are."""
NO_ADAPTER = "the model was not released as an adapter"


@dataclass(frozen=True)
class Circumstances:
    """How they are asked."""

    prompt: PromptConfig
    evaluation: EvaluationConfig
    trainer: TrainerConfig
    cache_dir: Path

    @property
    def device(self) -> torch.device:
        """One device; several would wait for one another."""
        return one_device(self.trainer)


def probe_unlearned(
    config: UnlearnConfig,
    subject: Subject,
    unlearned: Unlearned,
    merged: PreTrainedModel,
    run_dir: Path,
) -> dict[str, Line]:
    """Ask what the run that just ended has made, `merged` being its plain model. Raises as `probe_models`."""
    from peft import PeftModel

    in_full = replace(config.model, quantization=Quantization.none)
    loaded = partial(load_model, config=in_full, dtype=merged_dtype(config.trainer, config.model))
    models: dict[Role, Callable[[], PreTrainedModel]] = {
        Role.unlearned: lambda: merged,
        Role.target: partial(loaded, subject.path),
    }
    if subject.retrained_path is not None:
        models[Role.retrained] = partial(loaded, subject.retrained_path)
    suspects = Suspects(models, subject.tokenizer, subject.corpus, isinstance(unlearned.model, PeftModel))
    how = Circumstances(config.prompt, config.evaluation, config.trainer, Path(config.cache_dir))
    return probe_models(config.probes, suspects, how, run_dir)


def probe_summary(lines: Mapping[str, Line]) -> dict[str, float]:
    """The shares recovered, for comparison over runs."""
    return {f"probe/{name}": line.share.value for name, line in lines.items() if line.share is not None}


def probe_models(
    configs: Mapping[str, ProbeConfig], suspects: Suspects, how: Circumstances, run_dir: Path
) -> dict[str, Line]:
    """Ask every model with every probe; probes.json and probes.csv are written anew after each answer.

    probe_answers.jsonl has every row's score. Raises InputError where a model or a row cannot be asked, Interrupted
    on Ctrl-C while a probe trains.
    """
    asked = {UNPROBED: QuestionsConfig(), **configs}
    probes: dict[str, Probe] = {name: build(config) for name, config in asked.items()}
    found: dict[str, dict[Role, Measurement]] = {name: {} for name in probes}
    reasons = {name: NO_ADAPTER for name, probe in probes.items() if _is_without_adapter(probe, suspects)}
    for role, name, measurement in _measurements(asked, probes, reasons, suspects, how):
        if isinstance(measurement, str):
            reasons[name] = measurement
        else:
            found[name][role] = measurement
            if role is Role.target and isinstance(probes[name], AdapterRemoved):
                found[name][Role.unlearned] = measurement  # what remains without its adapter
        lines = {one: make_line(one, probes[one], found[one], reasons.get(one)) for one in probes}
        _write_lines(run_dir, lines)
    _write_answers(run_dir / ANSWERS, found)
    return lines


def share_lines(lines: Mapping[str, Line], folder: Path) -> None:
    """Put the lines into the table of the run that was probed, in place of earlier ones of the same probes.

    A folder that cannot be written is left as it is, with a warning.
    """
    try:
        before = read_lines(json.loads((folder / PROBES).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        before = {}
    try:
        _write_lines(folder, {**before, **lines})
    except OSError as error:
        Console(stderr=True).print(f"warning: {folder}: its table of probes is not written ({error.strerror})")


def _write_lines(folder: Path, lines: Mapping[str, Line]) -> None:
    write_json(folder / PROBES, table_json(lines))
    write_csv(folder / CSV, CSV_COLUMNS, [csv_row(line) for line in lines.values()])


def _is_without_adapter(probe: Probe, suspects: Suspects) -> bool:
    return isinstance(probe, AdapterRemoved) and not suspects.adapter


def _measurements(
    configs: Mapping[str, ProbeConfig],
    probes: Mapping[str, Probe],
    reasons: Mapping[str, str],
    suspects: Suspects,
    how: Circumstances,
) -> Iterator[tuple[Role, str, Measurement | str]]:
    """Model after model, probe after probe: what it found, or why it does not apply."""
    console = Console()
    for role, load in suspects.models.items():
        model = load().to(how.device)
        require_match(model, suspects.tokenizer)
        probed = Probed(model, suspects.tokenizer, suspects.corpus, _scored(how.prompt), how.evaluation, how.trainer)
        identity = _identity(probed)
        for name, probe in probes.items():
            if name in reasons or (isinstance(probe, AdapterRemoved) and role is Role.unlearned):
                continue
            path = how.cache_dir / "probes" / f"{settings_hash(identity, configs[name])}.json"
            console.print(f"  {role}: {name}", highlight=False, style="dim")
            try:
                yield role, name, _cached(path, partial(probe.run, probed))
            except DoesNotApplyError as error:
                yield role, name, str(error)
        model.to("cpu")  # one that is still held elsewhere makes room for the next


def _cached(path: Path, measure: Callable[[], Measurement]) -> Measurement:
    """What was found before, or now; a file that cannot be read is made anew."""
    try:
        return Measurement.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        found = measure()
    write_json(path, found.to_json())
    return found


def _identity(probed: Probed) -> str:
    """Hash of all that decides what any probe finds in a model."""
    model, evaluation = probed.model, probed.evaluation
    return settings_hash(
        {
            "probes": PROBES_VERSION,
            "metrics": METRICS_VERSION,
            "weights": weights_hash(model),
            "model": model_settings(model),
            "ends": sorted(end_tokens(model, probed.tokenizer)),
            "tokenizer": tokenizer_hash(probed.tokenizer),
            "corpus": probed.corpus.fingerprint or fingerprint(probed.corpus),
            "limits": [evaluation.max_new_tokens, evaluation.batch_tokens],
            "precision": resolve_precision(probed.trainer),
        },
        probed.prompt,
    )


def _scored(prompt: PromptConfig) -> PromptConfig:
    """Which tokens unlearning supervised does not matter here."""
    return replace(prompt, forget_supervised=Supervised.output, retain_supervised=Supervised.output)


def _write_answers(path: Path, found: Mapping[str, Mapping[Role, Measurement]]) -> None:
    write_jsonl(
        path,
        [
            {"probe": name, "model": role.value, "id": item.id, "score": item.score, "answer": item.answer}
            for name, of_model in found.items()
            for role, measurement in of_model.items()
            for item in measurement.items
        ],
    )
