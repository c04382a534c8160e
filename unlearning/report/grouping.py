"""Which runs belong together: the same setting (model, data, score), and in it the same method but for its seed."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unlearning.report.labels import data_set_name, natural, short_values
from unlearning.report.runs import Run

_SETTING = ("model.", "data.", "evaluation.", "prompt.", "recipe.")
_TRAINING_PROMPT = ("prompt.forget_supervised", "prompt.retain_supervised")
_NO_MATTER = ("seed", "name", "cache_dir", "save_model", "optimized")
_NO_MATTER_BRANCHES = ("logger.", "trainer.", "hydra.", "probes.")
_NO_MATTER_EVALUATION = ("evaluation.references", "evaluation.batch_tokens")
_CHOICES = ("objective", "scope", "schedule")

Flat = dict[str, str]


@dataclass(frozen=True)
class Group:
    """One method in one setting: runs that differ in nothing but their seed."""

    label: str
    runs: tuple[Run, ...]
    lost: tuple[Run, ...] = ()
    """Those of the same settings that have no result: failed, interrupted, or still running."""

    @property
    def seeds(self) -> list[int | None]:
        """One of each run."""
        return [run.seed for run in self.runs]

    @property
    def stopped(self) -> tuple[str, ...]:
        """Why the training of some of its runs ended early, one reason a run."""
        return tuple(run.stopped for run in self.runs if run.stopped is not None)

    @property
    def representative(self) -> Run:
        """The run of median final score, whose curves and answers stand for the group."""
        ranked = sorted(self.runs, key=lambda run: (run.metrics.get("final") or 0.0, run.place))
        return ranked[(len(ranked) - 1) // 2]


@dataclass(frozen=True)
class Setting:
    """Runs whose scores may be compared: same model, same data, same way of scoring."""

    title: str
    groups: tuple[Group, ...]

    @property
    def runs(self) -> list[Run]:
        """All of them."""
        return [run for group in self.groups for run in group.runs]


def flatten(config: Mapping[str, Any], prefix: str = "") -> Flat:
    """Dotted keys and values as text; lists stay whole."""
    flat: Flat = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{name}."))
        else:
            flat[name] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return flat


def method_settings(run: Run) -> Flat:
    """What the run was told that may change its result, seed and setting left out; of tracing only if it traced."""
    return _method_settings(run, run.trace is not None)


def group_runs(runs: Iterable[Run]) -> list[Setting]:
    """Finished runs by setting, in order of first appearance; to each group its runs that have no result."""
    runs = list(runs)
    finished, others = [run for run in runs if run.finished], [run for run in runs if not run.finished]
    parts = _partition(finished, _setting_settings)
    titles = _titles(parts)
    return [Setting(title, _groups(part, others)) for title, part in zip(titles, parts, strict=True)]


def differing(configs: Sequence[Flat]) -> list[str]:
    """Keys that are not the same everywhere, in order; one that some lack counts as different."""
    keys = sorted({key for config in configs for key in config})
    return [key for key in keys if len({config.get(key) for config in configs}) > 1]


def readable(key: str, value: str) -> tuple[str, str]:
    """A setting for people: of a `_target_` only the part it chooses and the class."""
    if key.endswith("._target_"):
        return key.removesuffix("._target_"), value.rpartition(".")[2]
    return key, value


def _matters(key: str) -> bool:
    skipped = key in _NO_MATTER or key in _NO_MATTER_EVALUATION
    return not skipped and not key.startswith(_NO_MATTER_BRANCHES)


def _is_setting(key: str) -> bool:
    return key.startswith(_SETTING) and key not in _TRAINING_PROMPT


def _setting_settings(run: Run) -> Flat:
    return {key: value for key, value in flatten(run.config).items() if _matters(key) and _is_setting(key)}


def _partition(runs: Sequence[Run], settings: Callable[[Run], Flat]) -> list[list[Run]]:
    parts: dict[tuple[tuple[str, str], ...], list[Run]] = {}
    for run in runs:
        parts.setdefault(tuple(sorted(settings(run).items())), []).append(run)
    return list(parts.values())


def _titles(parts: Sequence[Sequence[Run]]) -> list[str]:
    """Model and data, with whatever else tells two settings apart."""
    settings = [_setting_settings(part[0]) for part in parts]
    names = [
        f"{item.get('model.name', 'model')} on {data_set_name(item.get('data._target_', 'data'))}" for item in settings
    ]
    return _told_apart(names, settings)


def _method_settings(run: Run, traced: bool) -> Flat:
    kept = {key: value for key, value in flatten(run.config).items() if _matters(key) and not _is_setting(key)}
    return {key: value for key, value in kept.items() if traced or not key.startswith("trace.")}


def _groups(runs: Sequence[Run], others: Sequence[Run]) -> tuple[Group, ...]:
    parts = _partition(runs, method_settings)
    labels = _told_apart([part[0].method for part in parts], [method_settings(part[0]) for part in parts])
    setting = _setting_settings(runs[0])
    here = [run for run in others if _setting_settings(run) == setting]
    groups = [Group(label, tuple(part), _lost(part[0], here)) for label, part in zip(labels, parts, strict=True)]
    return tuple(sorted(groups, key=lambda group: natural(group.label)))


def _lost(known: Run, others: Sequence[Run]) -> tuple[Run, ...]:
    """Of other runs those with the settings of a finished one; none of them says whether it would have traced."""
    traced, settings = known.trace is not None, method_settings(known)
    return tuple(run for run in others if _method_settings(run, traced) == settings)


def _told_apart(names: Sequence[str], settings: Sequence[Flat]) -> list[str]:
    """Names, each with the settings in which it differs from others of the same name."""
    brief = [_label(name, own, names, settings, brief=True) for name, own in zip(names, settings, strict=True)]
    if len(set(brief)) == len(brief):
        return brief
    return [_label(name, own, names, settings, brief=False) for name, own in zip(names, settings, strict=True)]


def _follows_from_its_choice(key: str, configs: Sequence[Flat]) -> bool:
    """Whether a number of an objective, scope or schedule has one value with each choice of it."""
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
