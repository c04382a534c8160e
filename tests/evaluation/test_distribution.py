"""Several processes, each with a share of the items, measure the same as one process."""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from tests.command_line import run_command
from tests.evaluation.tiny import byte_model, byte_tokenizer, small_corpus
from unlearning.config.evaluation import EvaluationConfig
from unlearning.config.prompt import PromptConfig
from unlearning.data.rows import Corpus
from unlearning.errors import InputError
from unlearning.evaluation.distribution import ProcessGroup, Share, merge_shares
from unlearning.evaluation.evaluate import evaluate
from unlearning.evaluation.evaluated_model import EvaluatedModel
from unlearning.evaluation.parts import PARTS, Part
from unlearning.evaluation.result import EvaluationResult, ItemScore

ROOT = Path(__file__).parent.parent.parent
CONFIG = EvaluationConfig(max_new_tokens=6, shots=1)
CORPUS = small_corpus()


class Threads(ProcessGroup):
    """A process group of threads that exchange their values over a shared list."""

    def __init__(self, rank: int, board: list[Any], barrier: Barrier) -> None:
        super().__init__(rank, len(board))
        self.board, self.barrier = board, barrier

    def broadcast(self, value: Any) -> Any:
        return self.gather(value)[0]

    def gather(self, value: Any) -> list[Any]:
        self.board[self.share.rank] = value
        self.barrier.wait(timeout=60)
        said = list(self.board)
        self.barrier.wait(timeout=60)
        return said


def in_threads(processes: int, task: Callable[[ProcessGroup], Any]) -> list[Any]:
    """Return the result of each process, or the InputError that it ends with."""
    board, barrier = [None] * processes, Barrier(processes)

    def guarded(rank: int) -> Any:
        try:
            return task(Threads(rank, board, barrier))
        except InputError as error:
            return error

    with ThreadPoolExecutor(processes) as pool:
        return list(pool.map(guarded, range(processes)))


def together(processes: int, corpus: Corpus = CORPUS, folder: Path | None = None) -> list[Any]:
    """Return the results of all processes, each with a model of its own."""
    # Made beforehand: threads share PyTorch's random numbers.
    models = [byte_model("olmo", 5) for _ in range(processes)]

    def task(processes: ProcessGroup) -> EvaluationResult:
        model = models[processes.share.rank]
        return evaluate(model, byte_tokenizer(), corpus, CONFIG, PromptConfig(), "tiny", None, folder, processes)

    return in_threads(processes, task)


def alone(corpus: Corpus = CORPUS) -> EvaluationResult:
    """Return the result of a single process."""
    return evaluate(byte_model("olmo", 5), byte_tokenizer(), corpus, CONFIG, PromptConfig(), "tiny")


def same(ours: EvaluationResult, expected: EvaluationResult) -> None:
    """Check that losses are equal up to rounding, and everything else exactly."""
    assert ours.generations == expected.generations
    assert ours.cloze == expected.cloze
    assert ours.letters == expected.letters
    for own, other in zip(ours.membership, expected.membership, strict=True):
        assert (own.id, own.member) == (other.id, other.member)
        assert own.loss_nats == pytest.approx(other.loss_nats, rel=1e-6)
    assert ours.metrics.keys() == expected.metrics.keys()
    for name, value in expected.metrics.items():
        assert ours.metrics[name] == (None if value is None else pytest.approx(value, rel=1e-6)), name


def test_items_are_dealt_out_and_put_together() -> None:
    """Three processes get 0 3 6, 1 4 and 2 5 of seven items; shares of any size are merged in order."""
    assert [Share(rank, 3).of(range(7)) for rank in range(3)] == [[0, 3, 6], [1, 4], [2, 5]]
    for count in range(8):
        for processes in range(1, 5):
            shares = [Share(rank, processes).of(range(count)) for rank in range(processes)]
            assert merge_shares(shares) == list(range(count))
    assert Share().of("abc") == ["a", "b", "c"]


@pytest.mark.by_default("3")
@pytest.mark.parametrize("processes", [1, 2, 3])
def test_the_result_is_that_of_one_process(processes: int) -> None:
    """Every process has the result that a single process would have."""
    expected = alone()
    for result in together(processes):
        same(result, expected)
    assert expected.metrics["final"] is not None


def test_shares_may_be_empty() -> None:
    """Three processes share one row, one question, one member and one non-member."""
    corpus = dataclasses.replace(
        CORPUS,
        forget=CORPUS.forget[:1],
        retain=(),
        members=CORPUS.members[:1],
        nonmembers=CORPUS.nonmembers[:1],
        questions=CORPUS.questions[:1],
    )
    expected = alone(corpus)
    for result in together(3, corpus):
        same(result, expected)
    assert expected.metrics["mia_auc"] is not None


def test_nothing_to_measure() -> None:
    """Without data no process measures anything, and all say what is missing."""
    for result in together(2, Corpus(forget=(), retain=())):
        assert len(result.missing) == 3


def test_each_process_measures_its_share_and_the_first_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part with a file is measured by none, even where only the first process sees the files."""
    measured: list[tuple[str, int]] = []
    for name, part in list(PARTS.items()):

        def counted(what: EvaluatedModel, name: str = name, part: Part = part) -> list[Any]:
            measured.append((name, what.share.rank))
            return part.measure(what)

        monkeypatch.setitem(PARTS, name, dataclasses.replace(part, measure=counted))
    divided = [name for name in PARTS if PARTS[name].divided]
    first = together(2, folder=tmp_path)
    assert {"generations", "membership", "cloze", "letters"} <= set(divided)
    assert sorted(measured) == sorted([(name, 0) for name in PARTS] + [(name, 1) for name in divided])
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"{name}.json" for name in PARTS)
    (tmp_path / "cloze.json").unlink()
    measured.clear()
    second = together(2, folder=tmp_path)
    assert sorted(measured) == [("cloze", 0), ("cloze", 1)]
    assert [item.to_json() for item in first + second] == [first[0].to_json()] * 4


def test_what_cannot_be_divided_is_measured_by_the_first() -> None:
    """All processes have the scores of the first."""

    def task(processes: ProcessGroup) -> tuple[list[Any], int]:
        shares: list[Share] = []

        def measure(share: Share) -> list[Any]:
            shares.append(share)
            return [ItemScore("set", str(number), {}) for number in range(3)]

        return processes.collect_scores(measure, divided=False), len(shares)

    found = in_threads(3, task)
    assert [calls for _, calls in found] == [1, 0, 0]
    assert all([item.id for item in scores] == ["0", "1", "2"] for scores, _ in found)


@pytest.mark.parametrize("place", range(3))
def test_what_stops_one_process_stops_all(place: int) -> None:
    """All processes end with the same line, which names the document, whichever process has it."""
    long = dataclasses.replace(CORPUS.members[place], text="ab " * 2000)
    members = tuple(long if index == place else item for index, item in enumerate(CORPUS.members))
    found = together(2, dataclasses.replace(CORPUS, members=members))
    assert all(isinstance(error, InputError) for error in found)
    assert {str(error).split(":")[0] for error in found} == {f"document m{place}"}
    assert len({str(error) for error in found}) == 1


def test_a_part_that_loses_an_item_is_not_put_together() -> None:
    """Scores that do not fit together raise an error."""
    with pytest.raises(ValueError):
        merge_shares([["a"], ["b", "c"]])


WORDS = [
    "trainer=cpu",
    "logger=none",
    "evaluation.references=false",
    "data.max_documents_per_task=1",
    "evaluation.max_new_tokens=8",
    "evaluation.max_documents=4",
]


@pytest.mark.exhaustive
def test_the_command_on_two_processes(tmp_path: Path) -> None:
    """Two processes write the same files as one, and no others; by default a run on two processes evaluates too."""
    ended = run_command("evaluate", [*WORDS, "evaluation.max_questions=5", "hydra.run.dir=one"], tmp_path)
    assert ended.code == 0, ended.err
    folder = tmp_path / "apart"
    folder.mkdir()
    script = folder / "command.py"
    script.write_text("from unlearning.cli import evaluate\n\nevaluate()\n")
    words = [*WORDS[1:], "evaluation.max_questions=5", "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
    done = subprocess.run(
        [sys.executable, str(script), *words, "hydra.run.dir=two"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("> evaluate") == 1
    one, two = tmp_path / "one", folder / "two"
    results = [json.loads((run / "evaluation" / "sandbox.json").read_text()) for run in (one, two)]
    same(*(EvaluationResult.from_json(result) for result in results))
    assert sorted(path.name for path in two.iterdir()) == sorted(path.name for path in one.iterdir())
    assert sorted(path.name for path in folder.iterdir()) == ["command.py", "outputs", "two"]
