"""Malformed inputs on the command line: each ends with a line that names the fault, exit code 1, and no new file."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.command_line import run_command
from tests.rotation import left_out
from unlearning.commands.stages.sandbox_models import ASSETS

GOOD = [{"id": f"{i}qa0", "input": f"What is {i}?", "output": f"It is {i}.", "task": "Task2"} for i in range(4)]
OTHER = [{**row, "id": f"x{row['id']}", "input": row["input"] + " And then?"} for row in GOOD]

OVERRIDES: list[tuple[str, list[str], str]] = [
    ("unknown key", ["optimizer.lrr=3"], "optimizer.lrr: no such key; allowed here: accumulation, beta1, beta2"),
    ("unknown key at the top", ["learning_rate=1"], "learning_rate: no such key; allowed here: cache_dir"),
    ("appended key", ["+foo=1"], "foo: no such key; allowed here"),
    ("appended key below", ["+optimizer.foo=1"], "foo"),
    ("unknown group choice", ["objective=foo"], "finetune grad_ascent grad_diff"),
    ("unknown method", ["method=foo"], "grad_ascent grad_diff idk kl_min layer_freeze"),
    ("unknown experiment", ["experiment=foo"], "quickstart"),
    ("unknown model", ["model=olmo_70b"], "olmo_1b olmo_7b sandbox"),
    ("key of another choice", ["scope=lora", "scope.layers_file=x"], "scope.layers_file: no such key"),
    ("not a number", ["optimizer.lr=fast"], "optimizer.lr: Value 'fast'"),
    ("negative learning rate", ["optimizer.lr=-1"], "optimizer.lr=-1.0: must be above 0"),
    ("zero epochs", ["schedule.epochs=0"], "schedule.epochs=0: must be 1 or more"),
    ("zero batch", ["schedule.batch_rows=0"], "schedule.batch_rows=0: must be 1 or more"),
    ("zero chunk", ["schedule=chunked", "schedule.chunk_rows=0"], "schedule.chunk_rows=0: must be 1 or more"),
    ("negative ratio", ["ratio.retain_per_forget=-1"], "ratio.retain_per_forget=-1: must be 0 or more"),
    ("unknown enum", ["objective.reduction=median"], "objective.reduction: Invalid value 'median', expected one of"),
    ("weights the wrong way round", ["objective.max_weight=1"], "objective.max_weight=1.0: must be"),
    ("rank zero", ["scope=lora", "scope.rank=0"], "scope.rank=0: must be 1 or more"),
    ("unknown LoRA target", ["scope=lora", "scope.targets=[x]"], "scope.targets=x: must be one of q, k, v"),
    ("dropout of one", ["scope=lora", "scope.dropout=1"], "scope.dropout=1.0: must be in [0, 1)"),
    ("unknown precision", ["trainer.precision=int3"], "trainer.precision=int3: must be one of auto"),
    ("unknown accelerator", ["trainer.accelerator=tpu"], "trainer.accelerator=tpu: must be one of auto, cpu, gpu"),
    ("no devices", ["trainer.devices='0'"], "trainer.devices=0: must be auto or 1 or more"),
    ("width and heads", ["model.width=130"], "model.width=130: must be a multiple of model.heads=4"),
    ("share above one", ["trace.value=1.5"], "trace.value=1.5: must be in (0, 1]"),
    ("kind that is not traced", ["trace.kinds=[]"], "trace.kinds"),
    ("negative ceiling", ["objective.forget_ceiling_nats=-2"], "objective.forget_ceiling_nats=-2.0: must be above 0"),
    ("broken override", ["seed=["], "no viable alternative"),
    ("value missing", ["data=jsonl"], "data.forget: not given"),
    ("local model without a path", ["model=local"], "model.path=: must be given"),
    ("model folder that is not there", ["model=local", "model.path=./nowhere"], "model.path=./nowhere: no such folder"),
    ("retrained model that is not there", ["model.retrained=./nowhere"], "model.retrained=./nowhere: no such folder"),
    (
        "tokenizer that is not there",
        ["model=local", f"model.path={ASSETS / 'target'}", "model.tokenizer=./nowhere"],
        "model.tokenizer=./nowhere: no such folder",
    ),
    ("variable not set", ["data=semeval25"], "Environment variable 'UNLEARNING_DATA' not found"),
    ("layers file that is not there", ["scope.layers_file=nowhere.json"], "nowhere.json: cannot be read"),
]

OF_EACH_KIND = (
    "unknown key",
    "unknown group choice",
    "key of another choice",
    "not a number",
    "unknown enum",
    "weights the wrong way round",
    "broken override",
    "value missing",
    "model folder that is not there",
    "layers file that is not there",
    "missing file",
    "broken line",
    "not UTF-8",
    "row in both sets",
    "truncated parquet",
    "garbled layers file",
)
"""Mistakes that are refused by default; the others are refused in the same places of the code."""


def cases(table: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Return the rows of a table of mistakes as pytest's parameters, by the name in the first column."""
    return [pytest.param(*case[1:], id=case[0], marks=left_out(case[0] not in OF_EACH_KIND)) for case in table]


@pytest.mark.parametrize(("arguments", "words"), cases(OVERRIDES))
def test_overrides(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each mistake on the command line is refused."""
    monkeypatch.delenv("UNLEARNING_DATA", raising=False)
    refused(["logger=none", *arguments], words, tmp_path)


def refused(
    arguments: list[str],
    words: str,
    folder: Path,
) -> None:
    """Require exit code 1, one line on stderr with these words, and the folder as it was."""
    before = sorted(folder.rglob("*"))
    ended = run_command("unlearn", arguments, folder)
    assert ended.code == 1
    lines = ended.err.strip().splitlines()
    assert len(lines) == 1, ended.err
    assert lines[0].startswith("error: ")
    assert words in lines[0]
    assert sorted(folder.rglob("*")) == before


def lines(rows: list[dict[str, str]]) -> str:
    """Return rows as JSON, one on each line."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def jsonl(change: Callable[[list[dict[str, str]]], object]) -> Callable[[Path], None]:
    """Return a function that writes a file of good rows after a change."""

    def write(path: Path) -> None:
        rows = [dict(row) for row in GOOD]
        changed = change(rows)
        path.write_text(changed if isinstance(changed, str) else lines(rows))

    return write


def parquet(columns: list[str]) -> Callable[[Path], None]:
    """Return a function that writes a parquet file with these columns only."""

    def write(path: Path) -> None:
        pq.write_table(pa.table({name: [row.get(name, "forget") for row in GOOD] for name in columns}), path)

    return write


FILES: list[tuple[str, str, Callable[[Path], object], str]] = [
    ("missing file", "forget.jsonl", lambda _: None, "not found"),
    ("empty file", "forget.jsonl", lambda path: path.write_text(""), "forget.jsonl"),
    ("broken line", "forget.jsonl", jsonl(lambda rows: lines(rows) + "{oops\n"), "line 5"),
    ("no object", "forget.jsonl", jsonl(lambda rows: lines(rows) + "[1]\n"), "line 5"),
    ("not UTF-8", "forget.jsonl", lambda path: path.write_bytes(b'{"input": "\xff"}\n'), "UTF-8"),
    ("no input", "forget.jsonl", jsonl(lambda rows: [rows[2].pop("input")]), "line 3"),
    ("no output", "forget.jsonl", jsonl(lambda rows: [rows[1].pop("output")]), "line 2"),
    ("empty output", "forget.jsonl", jsonl(lambda rows: rows[1].update(output="")), "line 2"),
    ("blank input", "forget.jsonl", jsonl(lambda rows: rows[0].update(input="  ")), "line 1"),
    ("number for text", "forget.jsonl", jsonl(lambda rows: rows[0].update(output=3)), "line 1"),  # type: ignore[call-overload]
    ("null text", "forget.jsonl", jsonl(lambda rows: rows[0].update(output=None)), "line 1"),  # type: ignore[call-overload]
    ("id twice", "forget.jsonl", jsonl(lambda rows: rows[3].update(id=rows[0]["id"])), "twice"),
    ("unknown kind", "forget.jsonl", jsonl(lambda rows: rows[0].update(id="7", kind="zz")), "line 1"),
    ("row in both sets", "forget.jsonl", jsonl(lambda rows: rows[0].update(OTHER[0])), "retain"),
    ("wrong split", "forget.jsonl", jsonl(lambda rows: rows[0].update(split="retain")), "split"),
    ("truncated parquet", "forget.parquet", lambda path: path.write_bytes(b"PAR1 and no more"), "parquet"),
    ("parquet without input", "forget.parquet", parquet(["id", "output", "task"]), "input"),
    ("unknown format", "forget.txt", lambda path: path.write_text("x"), "forget.txt"),
    ("garbled layers file", "layers.json", lambda path: path.write_text("{"), "layers.json"),
]


@pytest.mark.parametrize(("name", "write", "words"), cases(FILES))
def test_files(
    name: str,
    write: Callable[[Path], object],
    words: str,
    tmp_path: Path,
) -> None:
    """Each mistake in a file of rows or of layers is refused."""
    (tmp_path / "retain.jsonl").write_text(lines(OTHER))
    write(tmp_path / name)
    if name == "layers.json":
        arguments = ["scope.layers_file=layers.json"]
    else:
        arguments = ["data=jsonl", f"data.forget=[./{name}]", "data.retain=[./retain.jsonl]"]
    refused(["logger=none", *arguments], words, tmp_path)


YAMLS = [
    ("broken YAML", "name: [x\n", "while parsing"),
    ("unknown key in YAML", "# @package _global_\noptimiser:\n  lr: 1\n", "optimiser"),
    ("unknown key below", "# @package _global_\noptimizer:\n  rate: 1\n", "optimizer.rate"),
    ("wrong type in YAML", "# @package _global_\nseed: many\n", "seed"),
    ("unknown override in YAML", "# @package _global_\ndefaults:\n  - override /objective: nope\n", "objective/nope"),
]


@pytest.mark.parametrize(("content", "words"), [case[1:] for case in YAMLS], ids=[case[0] for case in YAMLS])
def test_experiment_files(
    content: str,
    words: str,
    tmp_path: Path,
) -> None:
    """Each mistake in a user's own experiment file is refused."""
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "mine.yaml").write_text(content)
    where = f"hydra.searchpath=[file://{tmp_path}/conf]"
    refused(["logger=none", "experiment=mine", where], words, tmp_path)
