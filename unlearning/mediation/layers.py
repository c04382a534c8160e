"""The file layers.json: the chosen layers, the parameters in them, and all effects that a figure needs."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from unlearning.artefacts import write_json
from unlearning.config.scope import ModuleKind
from unlearning.config.trace import SelectionRule, TraceConfig
from unlearning.errors import InputError
from unlearning.mediation.effects import Effects, RestorationEffects
from unlearning.mediation.fact_effects import noise_share
from unlearning.mediation.person_bootstrap import EffectCurve, Interval
from unlearning.mediation.result import Metric, Screening, TraceResult, restoration_from_json
from unlearning.mediation.selection import Selection
from unlearning.mediation.states import deciding_restoration
from unlearning.models import anatomy

LEFT_OUT = ("unknown", "without_foil", "below_min_effect")
"""Reasons why facts are not among the traces: the fields of `FactCounts` that hold their ids."""


def selected_parameters(model: PreTrainedModel, selection: Selection, kind: ModuleKind) -> list[str]:
    """Return the names, as in `model.named_parameters()`, of one kind of part in the selected layers."""
    layers = anatomy.layers(model)
    chosen = {id(own) for index in selection.layers for own in anatomy.part_parameters(layers[index], kind)}
    return [name for name, parameter in model.named_parameters() if id(parameter) in chosen]


def write_layers(
    path: Path, model: PreTrainedModel, selection: Selection, result: TraceResult, config: TraceConfig
) -> None:
    """Write layers.json, atomically; `read_layers` reads it."""
    chosen = asdict(selection)
    effects = chosen.pop("effects")
    content = {
        "model": model.config.name_or_path,
        **chosen,
        "share_of_depth": selection.share_of_depth,
        "parameters": {kind: _parameters(model, selection, kind) for kind in config.kinds},
        "mode": result.mode,
        "corruption": config.corruption,
        "direction": result.direction,
        "base_model": config.base_model,
        "tokens": config.tokens,
        "draws": config.runs,
        "seed": config.seed,
        "noise": result.noise,
        "noise_share": noise_share(result, selection.metric, deciding_restoration(config)),
        "counts": _counts(result),
        "left_out": {name: list(getattr(result.counts, name)) for name in LEFT_OUT},
        "screening": _screening(result.screening) if result.screening else None,
        "effects": effects,
    }
    write_json(path, content)


def read_layers(path: Path, layers_total: int | None = None) -> Selection:
    """Return the selection in a layers.json; `layers_total` is the number of layers of the model it is meant for.

    Raises:
        InputError: the file is missing or not what `write_layers` writes; or it names layers that a model of its own
            or of the given number of layers does not have.
    """
    selection = _selection(path)
    depth = selection.layers_total if layers_total is None else layers_total
    beyond = [layer for layer in selection.layers if not 0 <= layer < depth]
    if beyond:
        raise InputError(f"{path}: layers {beyond}: the model has layers 0 to {depth - 1}")
    if selection.layers_total != depth:
        raise InputError(f"{path}: traced on a model of {selection.layers_total} layers, but this has {depth}")
    return selection


def _parameters(model: PreTrainedModel, selection: Selection, kind: ModuleKind) -> dict[str, Any]:
    """Return the parameters of this kind of part in the selected layers, and their share of all parameters."""
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    names = selected_parameters(model, selection, kind)
    return {"names": names, "share": sum(sizes[name] for name in names) / sum(sizes.values())}


def _counts(result: TraceResult) -> dict[str, int]:
    """Return how many facts were traced, of how many persons, and how many were not, by reason."""
    return {
        "traced": len(result.traces),
        "persons": len({trace.person for trace in result.traces}),
        **{name: len(getattr(result.counts, name)) for name in LEFT_OUT},
        "not_needed": result.counts.not_needed,
    }


def _screening(screening: Screening) -> dict[str, Any]:
    """Return plain data; a correlation that is NaN becomes null."""
    plain = asdict(screening)
    for name in ("correlation", "correlation_of_means"):
        plain[name] = {label: None if math.isnan(value) else value for label, value in plain[name].items()}
    return plain


def _selection(path: Path) -> Selection:
    """Return the file's content in its types, not yet checked against any model."""
    try:
        content = json.loads(path.read_bytes())
        selection = Selection(
            layers=tuple(content["layers"]),
            layers_window_1=tuple(content["layers_window_1"]),
            module=ModuleKind(content["module"]),
            rule=SelectionRule(content["rule"]),
            value=float(content["value"]),
            layers_total=content["layers_total"],
            window=content["window"],
            metric=Metric(content["metric"]),
            inclusion=tuple(content["inclusion"]),
            stability=float(content["stability"]),
            baselines={rule: tuple(layers) for rule, layers in content["baselines"].items()},
            warnings=tuple(content["warnings"]),
            effects=tuple(_effects(item) for item in content["effects"]),
        )
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except KeyError as error:
        raise InputError(f"{path}: not a layers.json of a trace: key {error} is missing") from error
    except (ValueError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not a layers.json of a trace: {reason}") from error
    numbers = (*selection.layers, selection.layers_total, selection.window)
    if not selection.layers or not all(type(number) is int for number in numbers):
        raise InputError(f"{path}: layers, layers_total and window must be whole numbers, one layer at least")
    return selection


def _effects(value: dict[str, Any]) -> Effects:
    """Return the effects in one metric from plain data."""
    return Effects(
        metric=Metric(value["metric"]),
        facts=value["facts"],
        total=Interval(**value["total"]),
        total_by_relation=dict(value["total_by_relation"]),
        restorations=tuple(_restoration(item) for item in value["restorations"]),
        severed_gaps=_curves(value["severed_gaps"]),
    )


def _restoration(value: dict[str, Any]) -> RestorationEffects:
    """Return the effects of one restoration from plain data."""
    shares, placebo, above = (value[name] for name in ("normalised", "placebo", "above_placebo"))
    return RestorationEffects(
        restoration=restoration_from_json(value["restoration"]),
        effect=_curve(value["effect"]),
        normalised=None if shares is None else tuple(shares),
        placebo=None if placebo is None else _curve(placebo),
        above_placebo=None if above is None else _curve(above),
        below_peak=_curve(value["below_peak"]),
        by_relation={relation: tuple(means) for relation, means in value["by_relation"].items()},
        by_group=_curves(value["by_group"]),
    )


def _curves(value: dict[str, Any]) -> dict[str, EffectCurve]:
    """Return named curves from plain data."""
    return {name: _curve(item) for name, item in value.items()}


def _curve(value: dict[str, Any]) -> EffectCurve:
    """Return a curve from plain data."""
    return EffectCurve(**{name: tuple(numbers) for name, numbers in value.items()})
