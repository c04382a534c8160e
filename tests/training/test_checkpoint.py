"""Checkpoints that are written while training goes on, and in parts by several devices."""

import math
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import nn

from unlearning.errors import InputError
from unlearning.training.callbacks import StopRequest
from unlearning.training.checkpoint import (
    NotWrittenError,
    Progress,
    Snapshot,
    read_progress,
    restore,
    take_snapshot,
)
from unlearning.training.checkpoint_files import remove_half_checkpoints
from unlearning.training.checkpoint_writer import BackgroundSaver, CheckpointWriter
from unlearning.training.disk_space import require_disk_space
from unlearning.training.history import TrainingHistory
from unlearning.training.module import UnlearningModule
from unlearning.training.sharding import Part


def model_of(start: float) -> nn.Linear:
    """Return a layer whose weights count upwards from a number."""
    model = nn.Linear(3, 5, bias=False)
    model.weight.data.copy_(start + torch.arange(15.0).reshape(5, 3))
    return model


def stepped(model: nn.Module) -> torch.optim.Optimizer:
    """Return an optimiser that has made one step, so that it has moments."""
    optimizer = torch.optim.AdamW(model.parameters())
    model.weight.grad = torch.full_like(model.weight, 2.0)
    optimizer.step()
    return optimizer


def progress_of(step: int, identity: str = "run") -> Progress:
    """Return the progress before a step."""
    return Progress(step, {}, 0.0, identity)


def shards_of(model: nn.Module, optimizer: torch.optim.Optimizer, step: int, count: int) -> list[Snapshot]:
    """Return what `count` devices would write: each has its share of the rows of every matrix, as FSDP cuts them."""
    whole = take_snapshot(model, optimizer, progress_of(step), {}, {})
    assert whole is not None
    snapshots = []
    for number in range(count):
        own = {}
        for name, tensor in whole.tensors.items():
            if tensor.ndim:
                pieces = tensor.chunk(count)
                own[name] = pieces[number].clone() if number < len(pieces) else tensor[:0].clone()
            elif number == 0:
                own[name] = tensor
        snapshots.append(Snapshot(progress_of(step), own, Part(number, count)))
    return snapshots


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_shards_are_put_together_on_any_number_of_devices(tmp_path: Path, count: int) -> None:
    """Five rows on 2, 3 and 4 devices are 3 + 2, 2 + 2 + 1 and 2 + 2 + 1 + 0; one device gets all of them back."""
    model = model_of(0.5)
    optimizer = stepped(model)
    for snapshot in shards_of(model, optimizer, 7, count):
        snapshot.write(tmp_path)
    assert len(list(tmp_path.iterdir())) == count
    other = model_of(100.0)
    fresh = torch.optim.AdamW(other.parameters())
    restore(tmp_path, "run", other, fresh)
    assert torch.equal(other.weight, model.weight)
    found, wanted = fresh.state[other.weight], optimizer.state[model.weight]
    assert found.keys() == wanted.keys() == {"step", "exp_avg", "exp_avg_sq"}
    assert all(torch.equal(found[key], wanted[key]) for key in wanted)


def test_only_whole_checkpoints_count(tmp_path: Path) -> None:
    """Until the last device has written, the checkpoint before counts; afterwards it is removed."""
    model = model_of(0.5)
    optimizer = stepped(model)
    for snapshot in shards_of(model, optimizer, 4, 2):
        snapshot.write(tmp_path)
    first, second = shards_of(model, optimizer, 8, 2)
    second.write(tmp_path)
    assert read_progress(tmp_path, "run") == progress_of(4)
    assert len(list(tmp_path.iterdir())) == 3
    first.write(tmp_path)
    assert read_progress(tmp_path, "run") == progress_of(8)
    assert sorted(path.name for path in tmp_path.iterdir()) == [first.name, second.name]


def test_the_result_of_one_process_counts_before_the_last_shards(tmp_path: Path) -> None:
    """Both are of one step; the main process writes the result alone, after the weights were put together."""
    model = model_of(0.5)
    shards = shards_of(model, stepped(model), 4, 2)
    for snapshot in shards:
        snapshot.write(tmp_path)
    finished = Progress(4, {}, 0.0, "run", finished=True)
    whole = take_snapshot(model, None, finished, {}, {})
    assert whole is not None
    whole.write(tmp_path)
    assert read_progress(tmp_path, "run") == finished
    for snapshot in shards:  # as a kill between writing and removing would leave it
        snapshot.write(tmp_path)
    assert read_progress(tmp_path, "run") == finished


def test_half_a_checkpoint_is_removed_before_training(tmp_path: Path) -> None:
    """A part whose other parts were never written would else complete a checkpoint of a later attempt."""
    model = model_of(0.5)
    optimizer = stepped(model)
    for snapshot in shards_of(model, optimizer, 4, 2):
        snapshot.write(tmp_path)
    shards_of(model, optimizer, 8, 2)[0].write(tmp_path)
    (tmp_path / ".run.step-9.part-0-of-1.safetensors.7.partial").write_bytes(b"half")
    remove_half_checkpoints(tmp_path, "run")
    assert len(list(tmp_path.iterdir())) == 2
    assert read_progress(tmp_path, "run") == progress_of(4)


def test_another_runs_checkpoint_goes_with_the_first_own_one(tmp_path: Path) -> None:
    """It is not continued, and a later step of it does not count."""
    for identity, step in (("other", 9), ("run", 2)):
        snapshot = take_snapshot(model_of(0.0), None, progress_of(step, identity), {}, {})
        assert snapshot is not None
        assert read_progress(tmp_path, "run") is None
        snapshot.write(tmp_path)
    assert read_progress(tmp_path, "run") == progress_of(2)
    assert len(list(tmp_path.iterdir())) == 1


def test_training_goes_on_while_the_disk_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written is the state when the snapshot was taken, though the weights have moved since."""
    begun, released = Event(), Event()
    write = Snapshot.write

    def slow(snapshot: Snapshot, folder: Path) -> None:
        begun.set()
        assert released.wait(timeout=30)
        write(snapshot, folder)

    monkeypatch.setattr(Snapshot, "write", slow)
    model, saver = model_of(0.5), BackgroundSaver(tmp_path)
    snapshot = take_snapshot(model, None, progress_of(3), {}, saver.place)
    assert snapshot is not None
    saver.start(snapshot)
    assert begun.wait(timeout=30)
    assert saver.busy
    model.weight.data.zero_()
    released.set()
    saver.wait()
    assert not saver.busy
    with safe_open(tmp_path / snapshot.name, framework="pt") as file:
        assert torch.equal(file.get_tensor("parameter/weight"), model_of(0.5).weight)


def test_a_failed_write_ends_training_at_the_next_step(tmp_path: Path) -> None:
    """The error of the thread is raised where training goes on, once."""
    (tmp_path / "taken").write_text("a file where the folder should be")
    saver = BackgroundSaver(tmp_path / "taken")
    snapshot = take_snapshot(model_of(0.5), None, progress_of(3), {}, {})
    assert snapshot is not None
    saver.start(snapshot)
    with pytest.raises(NotWrittenError, match=r"taken.*cannot be written"):
        saver.wait()
    saver.raise_error()


def test_no_error_of_the_thread_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a write fails with reaches training, and not only a disk that is full."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Snapshot, "write", broken)
    saver = BackgroundSaver(tmp_path)
    saver.start(Snapshot(progress_of(1), {}, Part(0, 1)))
    with pytest.raises(ZeroDivisionError):
        saver.wait()


def test_snapshots_share_one_copy_of_the_state(tmp_path: Path) -> None:
    """The second snapshot is written into the memory of the first; what an optimiser has dropped is not in it."""
    model, saver = model_of(0.5), BackgroundSaver(tmp_path)
    optimizer = stepped(model)
    first = take_snapshot(model, optimizer, progress_of(1), {}, saver.place)
    assert first is not None
    places = {name: tensor.data_ptr() for name, tensor in first.tensors.items()}
    optimizer.state.clear()
    second = take_snapshot(model, optimizer, progress_of(2), {}, saver.place)
    assert second is not None
    assert second.tensors.keys() == {"parameter/weight"}
    assert second.tensors["parameter/weight"].data_ptr() == places["parameter/weight"]


def test_a_state_that_no_step_changes_before_it_is_written_is_not_copied() -> None:
    """It is written from where it lies."""
    model = model_of(0.5)
    snapshot = take_snapshot(model, None, progress_of(1), {}, None)
    assert snapshot is not None
    assert snapshot.tensors["parameter/weight"].data_ptr() == model.weight.data_ptr()


@pytest.mark.parametrize(
    ("every", "copying", "writing", "interval"),
    [(60.0, 0.0, 0.0, 60.0), (60.0, 0.3, 0.5, 60.0), (60.0, 1.0, 2.0, 200.0), (1.0, 0.015, 0.06, 5.0)],
)
def test_the_interval_follows_from_the_cost(
    tmp_path: Path, every: float, copying: float, writing: float, interval: float
) -> None:
    """The seconds of a checkpoint are 1.5% of the time to the next one, which is never less than was asked for."""
    writer = CheckpointWriter(tmp_path, every, StopRequest(), TrainingHistory("run", [], 0.0))
    writer.copy_seconds, writer.saver.cpu_seconds = copying, writing
    assert writer.interval == pytest.approx(interval)


def test_no_checkpoint_while_one_is_being_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is slower than the interval makes checkpoints rarer, and never makes a step wait."""
    writer = CheckpointWriter(tmp_path, 1e-9, StopRequest(), TrainingHistory("run", [], 0.0))
    writer.saved = -math.inf  # a checkpoint is always due
    saved: list[Any] = []
    monkeypatch.setattr(writer, "_save", lambda *_: saved.append(1))
    module: Any = object.__new__(UnlearningModule)
    trainer: Any = SimpleNamespace(strategy=SimpleNamespace(reduce_boolean_decision=lambda value, **_: value))
    released = Event()
    monkeypatch.setattr(Snapshot, "write", lambda *_: released.wait(timeout=30))
    writer.saver.start(Snapshot(progress_of(1), {}, Part(0, 1)))
    writer.on_train_batch_end(trainer, module)
    assert saved == []
    released.set()
    writer.saver.wait()
    writer.on_train_batch_end(trainer, module)
    assert saved == [1]


def test_a_disk_that_is_too_small_is_refused_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """60 bytes of weights: 2 x 180 of checkpoints, 60 of result; 2 x 60 more where the best weights are kept."""
    disk = SimpleNamespace(free=419)
    monkeypatch.setattr("unlearning.training.disk_space.shutil.disk_usage", lambda _: disk)
    with pytest.raises(InputError, match=r"GiB of its disk are free, and the run writes up to .* hydra.run.dir=FOLDER"):
        require_disk_space(tmp_path, model_of(0.0), keep_best=False)
    disk.free = 420
    require_disk_space(tmp_path, model_of(0.0), keep_best=False)
    with pytest.raises(InputError, match="disk"):
        require_disk_space(tmp_path, model_of(0.0), keep_best=True)
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "run.step-1.part-0-of-1.safetensors").write_bytes(bytes(120))
    require_disk_space(tmp_path, model_of(0.0), keep_best=True)
