"""What each probe finds in each model, measured once and kept in the cache.

A measurement is kept under a hash of everything it depends on. So a run that was killed goes on where it was, and the
target and the retrained model are probed once for all runs.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import torch
from rich.console import Console

from unlearning.artefacts import write_json
from unlearning.config.evaluation import EvaluationConfig
from unlearning.config.probe import ProbeConfig
from unlearning.config.prompt import PromptConfig, Supervised
from unlearning.config.trainer import TrainerConfig
from unlearning.data.corpus import fingerprint
from unlearning.errors import InputError
from unlearning.evaluation.cache import METRICS_VERSION, merged_weights_hash, model_settings, tokenizer_hash
from unlearning.evaluation.generation import end_tokens
from unlearning.identity import settings_hash
from unlearning.locks.lock import lock_file, only_one
from unlearning.models.match import require_match
from unlearning.probes.adapter import AdapterRemoved
from unlearning.probes.depth import DepthScore
from unlearning.probes.models_to_probe import ModelsToProbe
from unlearning.probes.probe import ComparedModels, DoesNotApplyError, Measurement, Probe, ProbedModel
from unlearning.probes.table import ModelRole
from unlearning.training.hardware import one_device
from unlearning.training.stopping_rules import DivergedError
from unlearning.training.trainer import resolve_precision

PROBES_VERSION = 2
"""To be raised with every change of the code that can change what a probe finds."""


@dataclass(frozen=True)
class ProbeSettings:
    """The settings that all probes of a run share."""

    prompt: PromptConfig
    evaluation: EvaluationConfig
    trainer: TrainerConfig
    cache_dir: Path

    @property
    def device(self) -> torch.device:
        """The one device that is used; several would wait for one another."""
        return one_device(self.trainer)


def measurements(
    configs: Mapping[str, ProbeConfig],
    probes: Mapping[str, Probe],
    reasons: Mapping[str, str],
    to_probe: ModelsToProbe,
    settings: ProbeSettings,
) -> Iterator[tuple[ModelRole, str, Measurement | str]]:
    """Yield each model's measurement by each probe, or the reason why the probe does not apply.

    The second item is the probe's name. A probe that has an entry in `reasons`, which the caller may add to meanwhile,
    is left out. Raises InputError where a model or a row cannot be used.
    """
    console, compared = Console(), _compared(to_probe, settings)

    @cache
    def compared_weights() -> tuple[str, ...]:
        """Return what the models that others are compared with are known by."""
        loads = () if compared is None else (compared.target, compared.retrained)
        return tuple(merged_weights_hash(load()) for load in loads)

    for role, load in to_probe.models.items():
        model = load().to(settings.device)
        require_match(model, to_probe.tokenizer)
        # A probe's result does not depend on which tokens unlearning supervised.
        prompt = replace(settings.prompt, forget_supervised=Supervised.output, retain_supervised=Supervised.output)
        probed = ProbedModel(
            model=model,
            tokenizer=to_probe.tokenizer,
            corpus=to_probe.corpus,
            prompt=prompt,
            evaluation=settings.evaluation,
            trainer=settings.trainer,
            compared=compared,
            cache_dir=settings.cache_dir,
        )
        identity = _identity(probed)
        for name, probe in probes.items():
            if name in reasons or (isinstance(probe, AdapterRemoved) and role is ModelRole.unlearned):
                continue
            others = compared_weights() if isinstance(probe, DepthScore) else ()
            path = settings.cache_dir / "probes" / f"{settings_hash(identity, configs[name], *others)}.json"
            console.print(f"  {role}: {name}", highlight=False, style="dim")
            try:
                yield role, name, _cached(path, partial(probe.run, probed))
            except DoesNotApplyError as error:
                yield role, name, str(error)
            except DivergedError as error:
                raise InputError(f"probes.{name}: {error}; lower probes.{name}.lr") from error
        # A model that somebody else still holds makes room for the next one.
        model.to("cpu")


def _compared(to_probe: ModelsToProbe, settings: ProbeSettings) -> ComparedModels | None:
    """Return what loads the target and the retrained model onto the device; None where one of them is missing."""
    target, retrained = (to_probe.models.get(role) for role in (ModelRole.target, ModelRole.retrained))
    if target is None or retrained is None:
        return None
    device = settings.device
    return ComparedModels(lambda: target().to(device), lambda: retrained().to(device))


def _cached(path: Path, measure: Callable[[], Measurement]) -> Measurement:
    """Return the measurement in the file, or measure now and write the file where it is missing or unreadable."""
    found = _read(path)
    if found is not None:
        return found
    with only_one(lock_file(path)):
        # Another command may have measured it meanwhile.
        found = _read(path)
        if found is None:
            found = measure()
            write_json(path, found.to_json())
    return found


def _read(path: Path) -> Measurement | None:
    """Return the measurement in the file; None where it is missing or unreadable."""
    try:
        return Measurement.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _identity(probed: ProbedModel) -> str:
    """Return the hash of everything but the probe's own settings that decides what a probe finds in a model."""
    model, evaluation = probed.model, probed.evaluation
    return settings_hash(
        {
            "probes": PROBES_VERSION,
            "metrics": METRICS_VERSION,
            "weights": merged_weights_hash(model),
            "model": model_settings(model),
            "ends": sorted(end_tokens(model, probed.tokenizer, probed.prompt)),
            "tokenizer": tokenizer_hash(probed.tokenizer),
            "corpus": probed.corpus.fingerprint or fingerprint(probed.corpus),
            "limits": [evaluation.max_new_tokens, evaluation.batch_tokens],
            "precision": resolve_precision(probed.trainer),
        },
        probed.prompt,
    )
