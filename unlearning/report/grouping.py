"""Which runs belong together: the same setting (model, data, score), and in it the same method but for its seed."""

import re
from collections.abc import Callable, Iterable, Sequence

from unlearning.config.scope import TracedScopeConfig
from unlearning.report.comparison_row import ComparisonRow, method_row
from unlearning.report.runs import Run
from unlearning.report.settings import ABSENT, Flat, data_set_name, flatten, leading, setting_name, value_labels, varied

_SETTING = ("model.", "data.", "evaluation.", "prompt.", "recipe.")
_TRAINING_PROMPT = ("prompt.forget_supervised", "prompt.retain_supervised")
_NO_MATTER = (
    *("seed", "name", "cache_dir", "save_model", "optimized", "evaluation.references", "evaluation.batch_tokens"),
    *("logger.", "trainer.", "hydra.", "probes.", "tuned."),
)
"""Beginnings of the keys that change no result."""
_NUMBER = re.compile(r"((?<==)\d+(?:\.\d*)?(?:e[+-]?\d+)?)")


def group_runs(runs: Iterable[Run]) -> list[tuple[str, list[ComparisonRow]]]:
    """Return the title and the methods of each setting in which a run has finished, in order of first appearance."""
    parts = _alike(runs, _setting)
    settings = [_setting(part[0]) for part in parts]
    titles = [
        f"{item.get('model.name', 'model')} on {data_set_name(item.get('data._target_', 'data'))}" for item in settings
    ]
    return [(title, _methods(part)) for title, part in zip(_told_apart(titles, settings), parts, strict=True)]


def method_settings(run: Run) -> Flat:
    """Return the settings that may change a run's result, without seed and setting; of tracing only if it traces."""
    settings = _mattering(run)
    scope, file = (settings.get(f"scope.{key}", "null") for key in ("_target_", "layers_file"))
    traces = scope == TracedScopeConfig._target_ and file == "null"
    return {
        key: value
        for key, value in settings.items()
        if not _is_setting(key) and (traces or not key.startswith("trace."))
    }


def _setting(run: Run) -> Flat:
    return {key: value for key, value in _mattering(run).items() if _is_setting(key)}


def _mattering(run: Run) -> Flat:
    return {key: value for key, value in flatten(run.config).items() if not key.startswith(_NO_MATTER)}


def _is_setting(key: str) -> bool:
    return key.startswith(_SETTING) and key not in _TRAINING_PROMPT


def _alike(runs: Iterable[Run], settings: Callable[[Run], Flat]) -> list[list[Run]]:
    """Return the runs by equal settings, where at least one of them is finished."""
    parts: dict[frozenset[tuple[str, str]], list[Run]] = {}
    for run in runs:
        parts.setdefault(frozenset(settings(run).items()), []).append(run)
    return [part for part in parts.values() if any(run.finished for run in part)]


def _methods(runs: Sequence[Run]) -> list[ComparisonRow]:
    """Return the methods by label, and numbers in labels by size: lr=1e-05 before lr=0.001."""
    parts = _alike(runs, method_settings)
    labels = _told_apart([part[0].method for part in parts], [method_settings(part[0]) for part in parts])
    rows = [
        method_row(label, [run for run in part if run.finished], [run for run in part if not run.finished])
        for label, part in zip(labels, parts, strict=True)
    ]
    # Text and numbers in turn.
    pieces = {label: _NUMBER.split(label) for label in labels}
    return sorted(rows, key=lambda row: [float(p) if i % 2 else p for i, p in enumerate(pieces[row.label])])


def _told_apart(names: Sequence[str], settings: Sequence[Flat]) -> list[str]:
    """Return names, each with the settings in which it differs from others of the same name."""
    words = [[name] for name in names]
    for name in set(names):
        places = [place for place, other in enumerate(names) if other == name]
        table = varied([settings[place] for place in places])
        keys = {key: setting_name(key).rpartition(".")[2] for key in leading(table)}
        for key, tail in keys.items():
            shown = tail if list(keys.values()).count(tail) == 1 else setting_name(key)
            labels = value_labels(key, table[key])
            for place, text in zip(places, table[key], strict=True):
                words[place] += [f"{shown}={labels[text]}"] if text != ABSENT else []
    return [", ".join(own) for own in words]
