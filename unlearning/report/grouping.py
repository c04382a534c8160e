"""Which runs belong together: the same setting (model, data, score), and in it the same method but for its seed."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unlearning.report.labels import data_set_name, natural, short_values
from unlearning.report.runs import Run

_SETTING = ("model.", "data.", "evaluation.", "prompt.", "recipe.")
_TRAINING_PROMPT = ("prompt.forget_supervised", "prompt.retain_supervised")
_NO_MATTER = (
    "seed",
    "name",
    "cache_dir",
    "save_model",
    "optimized",
    "evaluation.references",
    "evaluation.batch_tokens",
)
_NO_MATTER_BRANCHES = ("logger.", "trainer.", "hydra.", "probes.", "tuned.")
"""Keys that change no result."""
_CHOICES = ("objective", "scope", "schedule")

Flat = dict[str, str]


@dataclass(frozen=True)
class Group:
    """One method in one setting: runs that differ in nothing but their seed."""

    label: str
    runs: tuple[Run, ...]
    lost: tuple[Run, ...] = ()
    """Runs of the same settings that have no result: failed, interrupted, or still running."""

    @property
    def seeds(self) -> list[int | None]:
        """Return the seed of each run."""
        return [run.seed for run in self.runs]

    @property
    def stopped(self) -> tuple[str, ...]:
        """Return why the training of some of its runs ended early, one reason for each such run."""
        return tuple(run.stopped for run in self.runs if run.stopped is not None)

    @property
    def representative(self) -> Run:
        """Return the run of median final score, whose curves and answers stand for the group."""
        ranked = sorted(self.runs, key=lambda run: (run.metrics.get("final") or 0.0, run.place))
        return ranked[(len(ranked) - 1) // 2]


@dataclass(frozen=True)
class Setting:
    """Runs whose scores may be compared: same model, same data, same way of scoring."""

    title: str
    groups: tuple[Group, ...]

    @property
    def runs(self) -> list[Run]:
        """Return the runs of all groups."""
        return [run for group in self.groups for run in group.runs]


def flatten(config: Mapping[str, Any], prefix: str = "") -> Flat:
    """Return dotted keys and values as text; lists stay whole."""
    flat: Flat = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{name}."))
        else:
            flat[name] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return flat


def method_settings(run: Run) -> Flat:
    """Return the settings that may change a run's result, without seed and setting; of tracing only if it traced."""
    return _method_settings(run, run.trace is not None)


def group_runs(runs: Iterable[Run]) -> list[Setting]:
    """Return finished runs by setting, in order of first appearance; each group has its runs without a result too."""
    runs = list(runs)
    parts = _partition([run for run in runs if run.finished], _setting)
    settings = [_setting(part[0]) for part in parts]
    names = [
        f"{item.get('model.name', 'model')} on {data_set_name(item.get('data._target_', 'data'))}" for item in settings
    ]
    found = []
    for title, part, setting in zip(_told_apart(names, settings), parts, settings, strict=True):
        lost = [run for run in runs if not run.finished and _setting(run) == setting]
        found.append(Setting(title, _groups(part, lost)))
    return found


def differing(configs: Sequence[Flat]) -> list[str]:
    """Return the keys that are not the same everywhere, in order; a key that some lack counts as different."""
    keys = sorted({key for config in configs for key in config})
    return [key for key in keys if len({config.get(key) for config in configs}) > 1]


def readable(key: str, value: str) -> tuple[str, str]:
    """Return a setting for people: of a `_target_` only the part it chooses and the class."""
    if key.endswith("._target_"):
        return key.removesuffix("._target_"), value.rpartition(".")[2]
    return key, value


def _setting(run: Run) -> Flat:
    return {key: value for key, value in _mattering(run).items() if _is_setting(key)}


def _method_settings(run: Run, traced: bool) -> Flat:
    return {
        key: value
        for key, value in _mattering(run).items()
        if not _is_setting(key) and (traced or not key.startswith("trace."))
    }


def _mattering(run: Run) -> Flat:
    return {
        key: value
        for key, value in flatten(run.config).items()
        if key not in _NO_MATTER and not key.startswith(_NO_MATTER_BRANCHES)
    }


def _is_setting(key: str) -> bool:
    return key.startswith(_SETTING) and key not in _TRAINING_PROMPT


def _partition(runs: Iterable[Run], settings: Callable[[Run], Flat]) -> list[list[Run]]:
    parts: dict[tuple[tuple[str, str], ...], list[Run]] = {}
    for run in runs:
        parts.setdefault(tuple(sorted(settings(run).items())), []).append(run)
    return list(parts.values())


def _groups(runs: Sequence[Run], unfinished: Sequence[Run]) -> tuple[Group, ...]:
    """Return the methods by label. A run without a result does not say whether it would have traced."""
    parts = _partition(runs, method_settings)
    settings = [method_settings(part[0]) for part in parts]
    groups = []
    for label, part, own in zip(
        _told_apart([part[0].method for part in parts], settings), parts, settings, strict=True
    ):
        traced = part[0].trace is not None
        lost = tuple(run for run in unfinished if _method_settings(run, traced) == own)
        groups.append(Group(label, tuple(part), lost))
    return tuple(sorted(groups, key=lambda group: natural(group.label)))


def _told_apart(names: Sequence[str], settings: Sequence[Flat]) -> list[str]:
    """Return names, each with the settings in which it differs from others of the same name."""
    for brief in (True, False):
        labels = [_label(name, own, names, settings, brief) for name, own in zip(names, settings, strict=True)]
        if len(set(labels)) == len(labels):
            break
    return labels


def _follows_from_its_choice(key: str, configs: Sequence[Flat]) -> bool:
    """Return whether a number of an objective, scope or schedule has one value with each choice of it."""
    chosen = {(config.get(f"{key.split('.')[0]}._target_"), config.get(key)) for config in configs}
    return len(chosen) == len({target for target, _ in chosen})


def _label(name: str, own: Flat, names: Sequence[str], settings: Sequence[Flat], brief: bool) -> str:
    rivals = [other for rival, other in zip(names, settings, strict=True) if rival == name]
    keys = differing(rivals)
    values = {key: short_values(other[key] for other in rivals if key in other) for key in keys}
    # Where another objective, scope or schedule was chosen, its name says enough, or what is always so with that name.
    chosen = [choice for choice in _CHOICES if f"{choice}._target_" in keys]
    said = [key for key in keys if key.split(".")[0] in chosen and not key.endswith("._target_")]
    keys = [key for key in keys if key not in said or not (brief or _follows_from_its_choice(key, rivals))]
    parts = [readable(key, values[key][own[key]]) for key in keys if key in own]
    tails = [key.rpartition(".")[2] for key, _ in parts]
    short = [tail if tails.count(tail) == 1 else key for tail, (key, _) in zip(tails, parts, strict=True)]
    return ", ".join([name, *(f"{key}={value}" for key, (_, value) in zip(short, parts, strict=True))])
