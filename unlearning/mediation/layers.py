"""layers.json: the chosen blocks, the exact parameters in them, and all effects that a figure needs."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from unlearning.artefacts import write_json
from unlearning.config import ModuleKind, SelectionRule, TraceConfig
from unlearning.errors import InputError
from unlearning.mediation.effects import Effects, KindEffects, TotalEffect
from unlearning.mediation.result import Metric, TraceResult
from unlearning.mediation.selection import Selection
from unlearning.models import anatomy


def selected_parameters(model: PreTrainedModel, selection: Selection) -> list[str]:
    """Names, as in `model.named_parameters()`, of the selected kind of part in the selected blocks."""
    blocks = anatomy.blocks(model)
    parts = [anatomy.part(blocks[index], selection.module) for index in selection.blocks]
    chosen = {id(parameter) for part in parts for parameter in part.parameters()}
    return [name for name, parameter in model.named_parameters() if id(parameter) in chosen]


def write_layers(
    path: Path, model: PreTrainedModel, selection: Selection, result: TraceResult, config: TraceConfig
) -> None:
    """Write layers.json, atomically; `read_layers` reads it."""
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    names = selected_parameters(model, selection)
    content = {
        "model": model.config.name_or_path,
        "blocks_total": selection.blocks_total,
        "blocks": list(selection.blocks),
        "module": selection.module,
        "share_of_depth": selection.share_of_depth,
        "parameters": names,
        "share_of_parameters": sum(sizes[name] for name in names) / sum(sizes.values()),
        "rule": selection.rule,
        "value": selection.value,
        "window": selection.window,
        "metric": selection.metric,
        "tokens": config.tokens,
        "draws": config.draws,
        "seed": config.seed,
        "noise": result.noise,
        "counts": _counts(result),
        "unknown": list(result.unknown),
        "effects": [asdict(effects) for effects in selection.effects],
    }
    write_json(path, content)


def read_layers(path: Path, blocks_total: int | None = None) -> Selection:
    """The selection in a layers.json; `blocks_total` is the number of blocks of the model it is meant for, if any.

    Raises:
        InputError: the file is missing or not what `write_layers` writes, or names blocks that a model of its own
            or of the given depth does not have.
    """
    selection = _selection(path)
    depth = selection.blocks_total if blocks_total is None else blocks_total
    beyond = [block for block in selection.blocks if not 0 <= block < depth]
    if beyond:
        raise InputError(f"{path}: blocks {beyond}: the model has blocks 0 to {depth - 1}")
    if selection.blocks_total != depth:
        raise InputError(f"{path}: traced on a model of {selection.blocks_total} blocks, but this has {depth}")
    return selection


def _counts(result: TraceResult) -> dict[str, int]:
    """Facts that were traced, of how many persons; that the model does not know; and that were not looked at."""
    return {
        "traced": len(result.traces),
        "persons": len({trace.person for trace in result.traces}),
        "unknown": len(result.unknown),
        "left_over": result.left_over,
    }


def _selection(path: Path) -> Selection:
    """The file's content, in its types but not checked against any model."""
    try:
        content = json.loads(path.read_bytes())
        selection = Selection(
            blocks=tuple(content["blocks"]),
            module=ModuleKind(content["module"]),
            rule=SelectionRule(content["rule"]),
            value=float(content["value"]),
            blocks_total=content["blocks_total"],
            window=content["window"],
            metric=Metric(content["metric"]),
            effects=tuple(_effects(item) for item in content["effects"]),
        )
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except KeyError as error:
        raise InputError(f"{path}: not a layers.json of a trace: key {error} is missing") from error
    except (ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not a layers.json of a trace: {reason}") from error
    numbers = (*selection.blocks, selection.blocks_total, selection.window)
    if not selection.blocks or not all(type(number) is int for number in numbers):
        raise InputError(f"{path}: blocks, blocks_total and window must be whole numbers, one block at least")
    return selection


def _effects(value: dict[str, Any]) -> Effects:
    kinds = []
    for item in value["kinds"]:
        mean, low, high = (tuple(item[key]) for key in ("mean", "low", "high"))
        shares = None if item["normalised"] is None else tuple(item["normalised"])
        kinds.append(KindEffects(ModuleKind(item["kind"]), mean, low, high, shares))
    return Effects(Metric(value["metric"]), TotalEffect(**value["total"]), tuple(kinds))
