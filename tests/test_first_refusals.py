"""What can be known without weights is refused before weights are read."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM

from tests.command_line import run_command
from tests.rotation import left_out
from unlearning.commands.stages.sandbox_models import ASSETS
from unlearning.training import disk_space

PACKAGE = Path(__file__).parent.parent / "unlearning"
PAGE = PACKAGE.parent / "docs" / "refusals.md"
REFUSALS = ("InputError", "InUseError", "NotWrittenError", "DivergedError")
STAGES = (
    "settings",
    "folder and machine",
    "data",
    "shapes and lengths",
    "weights",
    "values",
    "surroundings",
    "results",
)
"""When a refusal comes, in order."""
LOCAL = ["model=local", f"model.path={ASSETS / 'target'}"]
OWN_ROWS = ["data=jsonl", "data.forget=[f.jsonl]", "data.retain=[r.jsonl]"]
FOLLOWED = ["objective.ceiling_follows_unseen=true", "stopping.check_every_steps=20", "data.unseen=[u.jsonl]"]
BUILT_LATER = ["model.layers=2", "model.width=32", "model.heads=2"]
CASES: list[tuple[str, list[str], str]] = [
    ("unlearn", ["scope=layers", "scope.layers=0-99"], "scope.layers=0-99: this model's layers are 0 to 7"),
    ("unlearn", ["prompt.max_tokens=8"], "tokens, more than prompt.max_tokens=8"),
    ("unlearn", ["method=kl_min", "trainer.reference_gib=1e-6"], "takes more; set trainer.reference_gib="),
    ("unlearn", [*LOCAL, "scope=traced", "trace=weights"], "needs trace.base_model, a folder or repository id"),
    (
        "unlearn",
        ["scope=all", *OWN_ROWS, *FOLLOWED],
        "data.unseen: rows of Task7 qa; some must be like forget rows, of Task1 qa",
    ),
    ("memorise", ["scope=lora", "scope.layers='99'"], "scope.layers=99: this model's layers are 0 to 7"),
    ("trace", ["trace.rule=gradient", *OWN_ROWS], "no retain facts"),
    ("evaluate", [*LOCAL, "prompt.style=chat"], "has no chat template; prompt.style must be raw"),
]
ALIKE: list[tuple[str, list[str], str]] = [
    ("unlearn", ["scope=layers", "scope.layers=all", "scope.modules=[]"], "scope: no parameter is left to train"),
    ("unlearn", ["objective=rmu", "objective.layer=8"], "objective.layer=8: this model's layers are 0 to 7"),
    ("unlearn", ["probe=[linear]", "probes.linear.layer=99"], "linear probe: layer=99: this model's layers are 0 to 7"),
    ("unlearn", ["scope=lora", "scope.layers='8'"], "scope.layers=8: this model's layers are 0 to 7"),
    ("unlearn", ["objective=rmu", "objective.layer=40", "scope=all"], "objective.layer=40: this model's layers are 0"),
    ("unlearn", ["prompt.style=chat"], "has no chat template; prompt.style must be raw"),
    ("unlearn", [*BUILT_LATER, "scope=layers", "scope.layers='2'"], "scope.layers=2: this model's layers are 0 to 1"),
    ("trace", [*LOCAL, "trace.corruption=base_model"], "needs trace.base_model, a folder or repository id"),
]
"""Refusals by the same check as one of CASES, which `-m exhaustive` asks for."""


def refusing(node: ast.AST, names: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the name of the function of each refusal in a file, such as "LoraScope.apply"."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call) and getattr(child.func, "id", None) in REFUSALS:
            yield ".".join(names)
        named = isinstance(child, ast.FunctionDef | ast.ClassDef)
        yield from refusing(child, (*names, child.name) if named else names)


def test_the_page_has_every_refusal() -> None:
    """Each function that refuses something is in the page's table with the stage at which it does."""
    found = {
        (str(path.relative_to(PACKAGE)), name)
        for path in PACKAGE.rglob("*.py")
        for name in refusing(ast.parse(path.read_text()))
    }
    lines = re.findall(r"^\| ([a-z ]+) \| `(\S+\.py)` \| (.+) \|$", PAGE.read_text(), re.MULTILINE)
    listed = [(file, name.strip("`")) for _, file, names in lines for name in names.split(", ")]
    assert set(listed) == found
    assert len(listed) == len(found)
    places = [STAGES.index(stage) for stage, _, _ in lines]
    assert places == sorted(places)


@pytest.fixture
def without_weights_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where the weights of a model are read."""

    def read(path: object, **_: Any) -> None:
        raise AssertionError(f"weights of {path} were read")

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", read)


@pytest.mark.usefixtures("without_weights_read")
@pytest.mark.parametrize(
    ("command", "words", "message"),
    [
        pytest.param(*case, id=f"{case[0]} {' '.join(case[1][-2:])[:40]}", marks=left_out(case in ALIKE))
        for case in (*CASES, *ALIKE)
    ],
)
def test_it_is_refused_before_weights_are_read(command: str, words: list[str], message: str, tmp_path: Path) -> None:
    """The command ends with one line and code 1, and leaves no folder; a model of the sandbox is not built for it."""
    fact = {"id": "f0", "input": "Where does Ada Brook live?", "output": "Norwick", "subject": "Ada Brook"}
    (tmp_path / "f.jsonl").write_text(json.dumps(fact) + "\n")
    (tmp_path / "r.jsonl").write_text(json.dumps({"id": "r0", "input": "why is it so?", "output": "it is"}) + "\n")
    (tmp_path / "u.jsonl").write_text(json.dumps({"input": "Who is it?", "output": "he", "task": "Task7"}) + "\n")
    before = sorted(tmp_path.rglob("*"))
    ended = run_command(command, ["logger=none", "trainer=cpu", *words], tmp_path)
    assert ended.code == 1
    (line,) = ended.err.strip().splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.usefixtures("without_weights_read")
def test_a_full_disk_is_refused_before_weights_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the run will write is known of the shapes of the weights."""
    disk = type("Disk", (), {"free": 2**10})
    monkeypatch.setattr(disk_space.shutil, "disk_usage", lambda _: disk)
    ended = run_command("unlearn", ["method=grad_diff", "logger=none", "trainer=cpu"], tmp_path)
    assert ended.code == 1
    assert "GiB of its disk are free, and the run writes up to" in ended.err
    assert not any(tmp_path.iterdir())
