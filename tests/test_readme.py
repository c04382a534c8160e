"""Tests of README, CONTRIBUTING and the pages of docs/: commands compose, paths exist, and the first two stay short."""

import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict

from tests.rotation import left_out
from unlearning.config.command_line import readable_words
from unlearning.config.commands import CommonConfig
from unlearning.config.location import conf_dir
from unlearning.config.registration import register
from unlearning.config.report import ReportConfig
from unlearning.config.settings import settings_of

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
MOST_LINES = {"README.md": 200, "CONTRIBUTING.md": 80}
PAGES = sorted((ROOT / "docs").glob("*.md"))
STUDIES = sorted(ROOT.glob("experiments/*/README.md"))


def commands(text: str) -> list[str]:
    """Return the commands in the ```sh blocks of a text, with continued lines joined."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line.startswith("unlearn")]


def jobs(words: list[str]) -> list[list[str]]:
    """Return the overrides of jobs in which each swept value and both ends of each interval occur; one without any."""
    choices = []
    for override in OverridesParser.create().parse_overrides(words):
        key = override.get_key_element()
        if override.is_interval_sweep():
            interval = override.value()
            choices.append([f"{key}={end}" for end in (interval.start, interval.end)])
        elif override.is_sweep_override():
            choices.append([f"{key}={value}" for value in override.sweep_string_iterator()])
        else:
            choices.append([str(override.input_line)])
    longest = max(map(len, choices), default=1)
    return [[values[place % len(values)] for values in choices] for place in range(longest)]


def composed(config_name: str, words: list[str]) -> DictConfig:
    """Return what Hydra composes from a command line, with its own settings."""
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return compose(config_name, words, return_hydra_config=True)


def swept(cfg: DictConfig, words: list[str]) -> list[str]:
    """Return what an experiment sweeps besides these words, with the first value of each key."""
    found = OmegaConf.to_container(cfg.hydra.sweeper)
    assert isinstance(found, dict)
    named = {word.partition("=")[0] for word in words}
    return jobs([f"{key}={value}" for key, value in (found["params"] or {}).items() if key not in named])[0]


def composes(line: str, most_jobs: int | None = None) -> None:
    """Compose and check jobs of a command line in which each value of a sweep occurs, or only the first of them."""
    command, *words = shlex.split(os.path.expandvars(line), comments=True)
    words = readable_words(words)
    config_name = command.removeprefix("unlearn-")
    words = [word for word in words if word not in ("-m", "--multirun")]
    register()
    plain = jobs(words)[0]
    first = composed(config_name, plain)
    words = swept(first, words) + words
    for overrides in jobs(words)[:most_jobs]:
        cfg = first if overrides == plain else composed(config_name, overrides)
        with open_dict(cfg):
            cfg.pop("hydra")
        assert isinstance(settings_of(cfg), CommonConfig | ReportConfig)


@pytest.fixture(autouse=True)
def official_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the folder of the official data; its files are named and never opened."""
    monkeypatch.setenv("UNLEARNING_DATA", "/official")


@pytest.mark.parametrize("line", commands(README))
def test_a_command_of_the_readme_composes(line: str) -> None:
    """The command composes, with the values of all its jobs in range."""
    composes(line)


def commands_of(pages: list[Path]) -> list[Any]:
    """Return the commands of some pages; by default a page's longest command composes."""
    found = []
    for page in pages:
        lines = sorted(set(commands(page.read_text())), key=len, reverse=True)
        for place, line in enumerate(lines):
            marks = left_out(place > 0)
            name = page.parent.name if page.stem == "README" else page.stem
            found.append(pytest.param(line, marks=marks, id=f"{name}-{place}"))
    return found


@pytest.fixture
def own_parts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the example of one's own parts be found, as from its folder."""
    monkeypatch.syspath_prepend(ROOT / "docs" / "examples")
    yield
    sys.modules.pop("own_parts", None)


@pytest.mark.usefixtures("own_parts")
@pytest.mark.parametrize("line", commands_of(PAGES))
def test_the_commands_of_a_page_compose(line: str) -> None:
    """All jobs of the command are in range; the commands that messages advise are among them."""
    composes(line)


def test_each_study_has_a_command() -> None:
    """A reader can repeat every study."""
    assert all(commands(study.read_text()) for study in STUDIES)


@pytest.mark.parametrize("line", commands_of(STUDIES))
def test_the_commands_of_a_study_compose(line: str) -> None:
    """The first job of the command composes."""
    composes(line, most_jobs=1)


def test_there_is_an_example_of_every_command() -> None:
    """README names every command of the package, and the pages have an example of each, and of no other."""
    scripts = re.findall(r"^(unlearn[a-z-]*) = ", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert set(re.findall(r"^\| `(unlearn[a-z-]*)` \|", README, re.MULTILINE)) == set(scripts)
    text = "".join(page.read_text() for page in PAGES) + README
    assert {line.split()[0] for line in commands(text)} == set(scripts)


@pytest.mark.parametrize("name", MOST_LINES)
def test_it_is_short(name: str) -> None:
    """The file has no more lines than can be read at one sitting."""
    assert len((ROOT / name).read_text().splitlines()) <= MOST_LINES[name]


def test_the_paths_of_the_tree_exist() -> None:
    """The paths of the tree exist, and the tree has every folder of the package."""
    tree = re.search(r"^```text\n(.*?)^```", (ROOT / "docs" / "code.md").read_text(), re.MULTILINE | re.DOTALL)
    assert tree
    paths = [line.split()[0] for line in tree[1].splitlines()]
    assert [path for path in paths if not (ROOT / path).exists()] == []
    packages = {f"unlearning/{path.parent.name}/" for path in (ROOT / "unlearning").glob("*/__init__.py")}
    assert packages <= set(paths)


@pytest.mark.parametrize("name", MOST_LINES)
def test_the_paths_that_are_named_exist(name: str) -> None:
    """Paths in backquotes exist if they begin with a folder of the project and have no placeholder such as NAME."""
    named = re.findall(r"`((?:conf|unlearning|tests|experiments|tools)/[^`\s*]*)`", (ROOT / name).read_text())
    paths = [path for path in named if not re.search(r"NAME|MODEL|METHOD", path)]
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_links_of_the_readme_lead_somewhere() -> None:
    """Each link and picture in README is a file of the project."""
    links = re.findall(r"\]\(([^)#]+)", README)
    assert "docs/index.md" in links
    assert [link for link in links if not (ROOT / link).exists()] == []
