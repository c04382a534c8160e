"""Two devices compute what one computes, and the second one writes no files.

By default the hardest training runs; `-m exhaustive` runs whole commands, and the other cases.
"""

import csv
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pyarrow import parquet
from safetensors.torch import load_file

from tests.command_line import run_command
from tests.empty_figures import empty_figures
from tests.processes import exit_code, start
from tests.rotation import left_out
from tests.training import on_two_devices

ROOT = Path(__file__).parent.parent
TINY = [
    "model.attention=eager",
    "schedule.batch_rows=12",
    "trace.facts=1",
    "trace.draws=1",
    "trace.memory_gib=0.1",
    "trainer.max_steps=3",
    "trainer.pack_tokens=160",
    "trainer.packs_per_forward=1",
    "evaluation.max_new_tokens=4",
    "evaluation.max_questions=4",
    "evaluation.max_documents=4",
    "evaluation.references=false",
    "data.max_documents_per_task=1",
    "save_model=false",
    "logger=none",
]
SWEEP = [*TINY, "method=chunked_lora", "seed=0", "optimizer.lr=1e-3"]
TRACE = [
    "trace.facts=9",
    "trace.draws=1",
    "trace.kinds=[mlp]",
    "trace.severed=[]",
    "trace.tokens=last_subject",
    "logger=none",
]
"""Three groups of facts for two processes."""
DEVICES = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]


SCRIPT = """
from tests.empty_figures import empty_figures
from unlearning.cli import {command}

with empty_figures():
    {command}()
"""


SHARDED = ["trainer.strategy=fsdp", "trainer.prefix_cache_gib=0"]
"""The second process loads no weights; it gets those of the first one."""


def launched(command: str, words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, which starts the processes for further devices."""
    script = folder / "command.py"
    script.write_text(SCRIPT.format(command=command))
    ended = subprocess.run(
        [sys.executable, str(script), *words, *DEVICES],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended


@pytest.fixture(scope="module")
def two_devices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run a multirun of one job, sharded over two processes of the CPU, and return its folder.

    Its optimiser starts afresh with every chunk.
    """
    folder = tmp_path_factory.mktemp("two")
    ended = launched("unlearn", ["-m", *SWEEP, *SHARDED, "hydra.sweep.dir=runs"], folder)
    assert ended.stdout.count("> evaluate the unlearned model") == 1
    return folder


@pytest.mark.exhaustive
def test_the_loss_curve_is_that_of_one_device(two_devices: Path, tmp_path: Path) -> None:
    """The plan is the same and denominators count all devices' rows, so only the order of sums differs."""
    words = [*TINY, "method=chunked_lora", "optimizer.lr=1e-3", "trainer=cpu", "hydra.run.dir=one"]
    with empty_figures():
        assert run_command("unlearn", words, tmp_path).code == 0
    one = curve(tmp_path / "one")
    two = curve(two_devices / "runs" / "0-chunked_lora")
    assert len(two) == len(one) == 3
    for ours, theirs in zip(two, one, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-5, nan_ok=True)


@pytest.fixture(scope="module")
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Do those runs of `on_two_devices` that tests ask for, in two processes started together; return their folder."""
    folder = tmp_path_factory.mktemp("pair")
    specs = [getattr(item, "callspec", None) for item in request.session.items if "pair" in item.fixturenames]  # type: ignore[attr-defined]
    names = [spec.params["name"] for spec in specs if spec is not None]
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    together = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "NODE_RANK": "0"}
    processes = [
        start(
            on_two_devices.run_all,
            names,
            folder,
            folder=folder,
            name=str(rank),
            environment={**together, "LOCAL_RANK": str(rank)},
        )
        for rank in range(2)
    ]
    try:
        # Where the second one fails, the first one fails to hear from it.
        code = exit_code(processes[0]) or exit_code(processes[1], 60)
    finally:
        for process in processes:
            process.kill()
            process.join()
    assert code == 0, "\n".join((folder / f"{rank}.err").read_text()[-2000:] for rank in range(2))
    return folder


CASES = [
    pytest.param(name, marks=left_out(name not in on_two_devices.BY_DEFAULT), id=name) for name in on_two_devices.RUNS
]


@pytest.mark.parametrize("name", CASES)
def test_losses_and_weights_are_those_of_one_device(pair: Path, name: str, tmp_path: Path) -> None:
    """The runs are in double precision, where only the order of sums differs."""
    on_two_devices.run(name, "auto", tmp_path)
    one, weights = curve(tmp_path / "auto" / name), load_file(tmp_path / "auto" / f"{name}.0.safetensors")
    assert len(one) >= 6
    for strategy in (strategy for strategy, names in on_two_devices.BY_STRATEGY.items() if name in names):
        two = curve(pair / strategy / name)
        assert len(two) == len(one)
        for ours, theirs in zip(two, one, strict=True):
            assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-9, nan_ok=True)
        found = [load_file(path) for path in sorted((pair / strategy).glob(f"{name}.*.safetensors"))]
        # With shards, the main process alone ends with the whole weights.
        assert len(found) == (1 if strategy == "fsdp" else 2)
        for own in found:
            assert own.keys() == weights.keys()
            for key, weight in own.items():
                torch.testing.assert_close(weight, weights[key], rtol=0, atol=1e-9)


@pytest.mark.exhaustive
def test_only_the_main_process_writes(two_devices: Path) -> None:
    """There is one folder for each job, and nothing beside them."""
    assert sorted(path.name for path in two_devices.iterdir()) == ["command.py", "outputs", "runs"]
    assert [path.name for path in (two_devices / "outputs").iterdir()] == ["cache"]
    jobs = sorted(path.name for path in (two_devices / "runs").iterdir() if path.is_dir() and path.name[0].isdigit())
    assert jobs == ["0-chunked_lora"]
    for job in jobs:
        assert not list((two_devices / "runs" / job).glob("*.partial"))


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trace with two processes into the folder "two", and return its parent."""
    folder = tmp_path_factory.mktemp("traced")
    ended = launched("trace", [*TRACE, "hydra.run.dir=two"], folder)
    assert ended.stdout.count("> trace") == 1
    return folder


@pytest.mark.exhaustive
def test_a_trace_is_that_of_one_device(traced: Path, tmp_path: Path) -> None:
    """The table and the choice of layers are the same, and so are the files in the folder."""
    words = [*TRACE, "trainer=cpu", "hydra.run.dir=one"]
    with empty_figures():
        ended = run_command("trace", words, tmp_path)
    assert ended.code == 0, ended.err
    one, two = tmp_path / "one", traced / "two"
    tables = [parquet.read_table(folder / "effects.parquet").to_pydict() for folder in (one, two)]
    assert tables[0].keys() == tables[1].keys()
    assert len(tables[0]["fact"]) > 9 * 2
    assert len(set(tables[0]["fact"])) == 9
    for name, ours in tables[0].items():
        assert tables[1][name] == (pytest.approx(ours, abs=1e-5, nan_ok=True) if isinstance(ours[0], float) else ours)
    choices = [json.loads((folder / "layers.json").read_text()) for folder in (one, two)]
    assert choices[0]["layers"] == choices[1]["layers"]
    assert choices[0]["counts"] == choices[1]["counts"]
    # Where the processes announce one another.
    assert set(files_in(two)) - {"run.log"} == set(files_in(one))


@pytest.mark.exhaustive
def test_a_trace_by_two_processes_leaves_nothing_beside_its_folder(traced: Path) -> None:
    """The only other file is the script that this test wrote."""
    assert sorted(path.name for path in traced.iterdir()) == ["command.py", "two"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["trainer=fsdp"], "trainer.accelerator=gpu: no GPU was found"),
        (["trainer=gpu"], "trainer.accelerator=gpu: no GPU was found"),
        (["trainer.strategy=deepspeed_stage_3"], "trainer.strategy=deepspeed_stage_3: must be one of auto, ddp, fsdp;"),
    ],
    ids=["sharding", "GPU", "DeepSpeed"],
)
def test_hardware_that_is_not_there(
    words: list[str],
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is refused in one line, before anything is loaded."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    for command in ("unlearn", "trace"):
        ended = run_command(command, ["logger=none", *words], tmp_path)
        assert ended.code == 1
        assert complaint in ended.err
        assert len(ended.err.strip().splitlines()) == 1
        assert not any(tmp_path.iterdir())


def files_in(folder: Path) -> list[str]:
    """Return the paths of all files and folders below a folder."""
    return [str(path.relative_to(folder)) for path in folder.rglob("*")]


def curve(run_dir: Path) -> list[list[float]]:
    """Return the lines of loss_curve.csv as numbers, NaN where a step has no such rows."""
    with (run_dir / "loss_curve.csv").open() as handle:
        return [[float(value or "nan") for value in line] for line in list(csv.reader(handle))[1:]]
