"""What surrounds the code agrees with it: citation, checks before a commit, workflow, the name on the package index."""

import re
import tomllib
from pathlib import Path

import yaml

import unlearning

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_the_citation_is_of_this_version() -> None:
    """CITATION.cff has what its format requires, this version and this licence."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["version"] == unlearning.__version__
    assert citation["license"] == PROJECT["license"]
    assert f"## [{unlearning.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_workflow_runs_targets_of_the_makefile_only() -> None:
    """Its commands are `make` and targets that exist; together they are `make check`."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/check.yml").read_text())
    commands = [step["run"].split() for step in workflow["jobs"]["check"]["steps"] if "run" in step]
    assert {words[0] for words in commands} == {"make"}
    targets = {target for words in commands for target in words[1:]}
    assert targets <= TARGETS
    assert targets == set(re.search(r"^check: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split())  # type: ignore[index]


def test_the_checks_before_a_commit_are_those_of_the_makefile() -> None:
    """Each hook runs a tool that `make lint` or `make types` runs."""
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    tools = {Path(hook["entry"].split()[0]).name for hook in local["hooks"]}
    assert tools == {"ruff", "mypy"}
    assert all(f"$(BIN)/{tool}" in (ROOT / "Makefile").read_text() for tool in tools)


def test_everybody_is_told_the_name_on_the_package_index() -> None:
    """An advice to install this project names the distribution; the name `unlearning` there is another project's."""
    files = [*(ROOT / "unlearning").rglob("*.py"), *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    named = {name for path in files for name in re.findall(r"pip install '([\w-]+)\[\w+\]'", path.read_text())}
    assert named == {PROJECT["name"]}
