"""conf/ and the dataclasses fit together: every choice of every group, every preset, experiment and command."""

import copy
import inspect
import os
import re
import subprocess
import sys
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf, open_dict

from tests.command_line import run_command
from tests.rotation import each_once, left_out
from unlearning.config.build import build
from unlearning.config.commands import CommonConfig
from unlearning.config.location import conf_dir
from unlearning.config.objective import AdaptiveGradDiffConfig
from unlearning.config.objective_choices import Averaging
from unlearning.config.registration import register
from unlearning.config.report import ReportConfig
from unlearning.config.schedule import MixedScheduleConfig
from unlearning.config.scope import LoraScopeConfig, ModuleKind
from unlearning.config.settings import settings_of
from unlearning.errors import InputError

CONF = conf_dir()
ROOT = Path(__file__).parent.parent
COMMANDS = ("unlearn", "memorise", "trace", "evaluate", "report", "merge", "probe", "plan")
NEEDED = {
    ("model", "local"): ["model.path=./anywhere"],
    ("scope", "layers"): ["scope.layers=all"],
    ("schedule", "alternating"): ["ratio=natural"],
}
"""Words that a user must give together with a choice."""
SUBJECTS = {"merge": ["adapters=[one,two]"], "probe": ["model.path=./anywhere"]}
"""Words without which a command is refused."""


def choices(group: str) -> list[str]:
    """Return the names of a group's files."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def groups_of(command: str) -> list[str]:
    """Return the groups that a command chooses from, one by one: not Hydra's own, nor those that change many others."""
    defaults = OmegaConf.load(CONF / f"{command}.yaml")["defaults"]
    names = [str(next(iter(item))) for item in defaults if not isinstance(item, str)]
    return [name for name in names if (CONF / name).is_dir() and name not in ("hydra", "experiment", "search")]


@pytest.fixture(autouse=True)
def official_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of the official data are named and never opened."""
    monkeypatch.setenv("UNLEARNING_DATA", "/official")


@lru_cache(maxsize=32)  # more of them would be more work for the garbage collector than they save
def composed(command: str, *overrides: str) -> tuple[DictConfig, dict[str, str | None]]:
    """Return the configuration that Hydra composes from a command line, and the choice of each group."""
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose(command, list(overrides), return_hydra_config=True)
    made = dict(cfg.hydra.runtime.choices)
    with open_dict(cfg):
        cfg.pop("hydra")
    return cfg, made


def chosen(command: str, *overrides: str) -> dict[str, str | None]:
    """Return the choice of each group."""
    return composed(command, *overrides)[1]


def settings(command: str, *overrides: str) -> Any:
    """Return the checked settings of a command line."""
    return settings_of(composed(command, *overrides)[0])


PARTS = ("objective", "scope", "schedule")
APART = (("objective", "trainer"), ("scope", "ratio"), ("schedule",))
"""Groups of `unlearn` whose choices all go together; those of its other groups go together with every preset."""


BY_DEFAULT = max(len(choices(group)) for group in ("trainer", "ratio"))
"""Rows of APART that run by default: tests/training/test_grid.py composes each choice of the three axes."""


def together(command: str) -> list[tuple[tuple[str, str], ...]]:
    """Return the fewest rows of choices in which each choice of `unlearn` occurs, or one choice of each other group.

    The longest group of a row goes through its choices once, the others round and round. The first choice of a group
    shows that a command has it; what the choices are is the same for all commands.
    """
    groups = groups_of(command)
    if command != "unlearn":
        return [tuple((group, choices(group)[0]) for group in groups)] if groups else []
    with_presets = tuple(group for group in groups if not any(group in apart for apart in APART))
    return [
        tuple((group, choices(group)[place % len(choices(group))]) for group in names)
        for names in (with_presets, *APART)
        for place in range(max(len(choices(group)) for group in names))
    ]


ROWS = [
    pytest.param(
        command,
        row,
        id=f"{command}, each {row[0][0]}: {row[0][1]}",
        marks=left_out(row[0][0] in PARTS and row[0][1] in choices(row[0][0])[BY_DEFAULT:]),
    )
    for command in COMMANDS
    for row in together(command)
]
ALONE = [
    pytest.param(command, ((group, name),), id=f"{command}-{group}-{name}", marks=pytest.mark.exhaustive)
    for command in COMMANDS
    for group in groups_of(command)
    for name in choices(group)
]


@pytest.mark.parametrize(("command", "row"), [*ROWS, *ALONE])
def test_every_choice_composes(command: str, row: tuple[tuple[str, str], ...]) -> None:
    """Each choice composes and passes every check; a part is built from exactly its keys."""
    words = [word for choice in row for word in (f"{choice[0]}={choice[1]}", *NEEDED.get(choice, []))]
    words = [*SUBJECTS.get(command, []), *words]
    made = settings(command, *words)
    assert isinstance(made, CommonConfig)
    assert chosen(command, *words).items() >= {(group, name) for group, name in row if group != "probe"}
    for name in PARTS if command == "unlearn" else ():
        part = getattr(made, name)
        constructor = get_class(part._target_)
        assert set(vars(part)) - {"_target_"} == set(inspect.signature(constructor).parameters)
        assert isinstance(build(part), constructor)


def test_schemas_are_never_copied_and_never_changed() -> None:
    """Hydra does not copy the store for each group of --help; a configuration is a copy of its schema all the same."""
    register()
    store = ConfigStore.instance()
    assert copy.deepcopy(store) is store
    as_it_was = OmegaConf.to_yaml(store.load("unlearn_schema.yaml").node)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("unlearn", ["seed=7", "objective.retain_weight=3"])
    cfg.seed = 8
    assert OmegaConf.to_yaml(store.load("unlearn_schema.yaml").node) == as_it_was
    assert settings("unlearn", "method=grad_diff").seed == 0


def test_the_report_composes() -> None:
    """The report's configuration composes; it has no groups."""
    assert settings("report", "runs=outputs") == ReportConfig(runs="outputs")


SEEDS = ("layer_freeze", "chunked_lora")
EXAMPLES = {"objective": ("npo",), "scope": ("lora",), "schedule": ("chunked",), "ratio": ("1to3",)}
"""Choices that presets are combined with; the two seed systems have all choices."""
CROSSES = [
    # By default every fourth preset meets an example of one group. That layer_freeze meets all choices is shown above.
    pytest.param(
        method, group, name, marks=left_out(name not in EXAMPLES[group] or row % (4 * len(EXAMPLES)) != 4 * column)
    )
    for (row, method), (column, group) in product(enumerate(choices("method")), enumerate(EXAMPLES))
    for name in (choices(group) if method in SEEDS else EXAMPLES[group])
]


def refusal(method: str, group: str, name: str) -> str | None:
    """Return how a combination that makes no sense is refused; tests/config/test_compatibility.py has all of them."""
    if method == "alternating_lora" and name == "1to3":
        return "choose ratio.retain_per_forget=null"
    if method == "task_arithmetic" and group == "objective":
        return "choose objective=task_vector"
    if method in ("repselect", "undo") and name == "lora":
        return "choose scope=all"
    return None


@pytest.mark.parametrize(("method", "group", "name"), CROSSES)
def test_the_command_line_beats_the_preset(method: str, group: str, name: str) -> None:
    """A part of the command line replaces the part of the preset."""
    overrides = (f"method={method}", f"{group}={name}", *NEEDED.get((group, name), []))
    assert chosen("unlearn", *overrides)[group] == name
    reason = refusal(method, group, name)
    if reason is None:
        assert settings("unlearn", *overrides).method == method
    else:
        with pytest.raises(InputError, match=reason):
            settings("unlearn", *overrides)


def test_numbers_on_the_command_line_beat_the_preset() -> None:
    """Numbers on the command line also beat tuned numbers, whatever the order of the words."""
    overrides = ["optimizer.lr=0.25", "schedule.epochs=3", "schedule.batch_rows=20", "ratio.retain_per_forget=2"]
    tuned = [(method, "sandbox") for method in (*SEEDS, "grad_ascent", "grad_diff", "npo")]
    for method, model in (*tuned, *((method, "olmo_7b") for method in SEEDS)):
        made = settings("unlearn", *overrides, f"method={method}", f"model={model}")
        assert made.optimizer.lr == 0.25
        assert (made.schedule.epochs, made.schedule.batch_rows, made.ratio.retain_per_forget) == (3, 20, 2)


def test_a_part_of_the_command_line_keeps_its_own_keys() -> None:
    """No key of a part that was replaced remains in the part that replaces it."""
    lora = settings("unlearn", "method=layer_freeze", "scope=lora")
    assert isinstance(lora.scope, LoraScopeConfig)
    assert isinstance(lora.objective, AdaptiveGradDiffConfig)
    mixed = settings("unlearn", "method=chunked_lora", "schedule=mixed")
    assert isinstance(mixed.schedule, MixedScheduleConfig)
    assert isinstance(mixed.scope, LoraScopeConfig)


# ---------------------------------------------------------------- published numbers


def test_published_numbers_of_layer_freeze() -> None:
    """The numbers of SHA256 at SemEval-2025 Task 4 stand where no tuned numbers join."""
    made = settings("unlearn", "method=layer_freeze", "model=olmo_7b")
    assert (made.optimizer.lr, made.schedule.epochs, made.schedule.batch_rows) == (1.5e-5, 8, 120)
    assert made.ratio.retain_per_forget is None
    weight = made.objective
    assert isinstance(weight, AdaptiveGradDiffConfig)
    assert (weight.scale, weight.base, weight.offset, weight.min_weight, weight.max_weight) == (0.3, 6, 0.8, 1.2, 2.8)
    assert made.scope.modules == [ModuleKind.mlp]


def test_published_numbers_of_chunked_lora() -> None:
    """The numbers of AILS-NTUA at SemEval-2025 Task 4 stand where no tuned numbers join."""
    made = settings("unlearn", "method=chunked_lora", "model=olmo_7b")
    assert (made.optimizer.lr, made.schedule.epochs, made.schedule.batch_rows) == (1e-5, 7, 8)
    assert (made.schedule.chunk_rows, made.ratio.retain_per_forget) == (32, 7)
    assert (made.objective.forget_weight, made.objective.retain_weight) == (1.0, 0.5)
    assert made.objective.averaging is Averaging.whole_batch
    assert (made.scope.rank, made.scope.alpha, made.scope.targets) == (16, 64, ["q", "v", "up", "down"])


TUNED_FOR = {"method": "tuned@_global_", "schedule": "tuned@schedule", "scope": "tuned@scope"}
"""Group that numbers are tuned for, and the entry of the defaults list that finds them."""
TUNABLE = [(group, choice) for group in TUNED_FOR for choice in choices(group)]


@pytest.mark.parametrize("name", sorted(set(choices("tuned/auto")) - set(choices("model"))))
def test_tuned_files_belong_to_a_model_and_a_choice(name: str) -> None:
    """A misspelt name would never be found; a tuned file changes numbers, not what the method is."""
    owners = {f"{model}_{choice}": (model, group, choice) for model in choices("model") for group, choice in TUNABLE}
    model, group, choice = owners[name]
    overrides = (f"{group}={choice}", *NEEDED.get((group, choice), []))
    ours = chosen("unlearn", *overrides, f"model={model}", *NEEDED.get(("model", model), []))
    assert ours[TUNED_FOR[group]] == f"auto/{name}"
    assert name in composed("unlearn", *overrides, f"model={model}")[0].tuned.files
    untuned = chosen("unlearn", *overrides, "model=olmo_7b")
    for part in ("objective", "scope", "schedule", "ratio"):
        assert ours[part] == untuned[part]


# ---------------------------------------------------------------- experiments


def commands_named(name: str) -> list[str]:
    """Return the commands that an experiment's own heading gives."""
    words = re.findall(r"\bunlearn(?:-(\w+))? experiment=", (CONF / "experiment" / f"{name}.yaml").read_text())
    return sorted({word or "unlearn" for word in words} | {"unlearn"})


EXPERIMENTS = [(name, command) for name in choices("experiment") for command in commands_named(name)]


@pytest.mark.parametrize(("name", "command"), EXPERIMENTS, ids=["-".join(case) for case in EXPERIMENTS])
def test_every_experiment_composes(name: str, command: str) -> None:
    """An experiment composes with every command that its heading names, and with `unlearn`."""
    settings(command, f"experiment={name}")


@pytest.mark.parametrize(("name", "method"), each_once(choices("experiment"), [*SEEDS, "grad_diff", "rmu"]))
def test_an_experiment_never_changes_a_methods_numbers(name: str, method: str) -> None:
    """No experiment silently changes a number that was published with a method or tuned for it."""
    with_it = (f"experiment={name}", f"method={method}")
    model = chosen("unlearn", *with_it)["model"]
    without = (f"method={method}", f"model={model}", *NEEDED.get(("model", str(model)), []))
    ours, preset = settings("unlearn", *with_it), settings("unlearn", *without)
    for part in ("optimizer", "objective", "scope", "schedule", "ratio"):
        assert getattr(ours, part) == getattr(preset, part), part


# ---------------------------------------------------------------- in a process of their own


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a line of Python in a process of its own, from the checkout."""
    command = [sys.executable, "-c", code, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.grid
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("words", [("--cfg", "job"), ("--help",)], ids=["cfg", "help"])
def test_configuration_and_help_are_printed(command: str, words: tuple[str, ...], tmp_path: Path) -> None:
    """The exit code is 0, the settings are on stdout, and no folder is made."""
    ended = run_command(command, list(words), tmp_path)
    assert ended.code == 0, ended.err
    assert ("runs:" if command == "report" else "accelerator: auto") in ended.out
    assert not any(tmp_path.iterdir())


def test_the_command_line_is_light() -> None:
    """No heavy library is imported before a configuration has passed its checks."""
    heavy = ("torch", "transformers", "pytorch_lightning", "peft", "wandb", "datasets", "sklearn", "matplotlib")
    ended = python(f"import sys, unlearning.cli; print([name for name in {heavy!r} if name in sys.modules])")
    assert ended.stdout.strip() == "[]", ended.stderr
