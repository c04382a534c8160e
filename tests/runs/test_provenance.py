"""The provenance record names code, libraries, hardware and time, and nothing private."""

import json
import subprocess
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import cast

import pytest
from hydra.conf import HydraConf
from omegaconf import OmegaConf

from unlearning.commands.start import run_context
from unlearning.config.commands import MergeConfig
from unlearning.runs import code_state as module
from unlearning.runs.code_state import code_state, source_state
from unlearning.runs.folder import save_provenance
from unlearning.runs.provenance import provenance, without_home

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2)))


def _record(overrides: list[str]) -> dict[str, object]:
    """Return a record with these words of the command line."""
    return provenance(
        code=code_state(),
        data_fingerprint="abc",
        seeds={"training": 1},
        overrides=overrides,
        tuned=["sandbox_lora"],
        started=START,
        ended=START + timedelta(minutes=1),
        stage_seconds={"train": 59.99999},
    )


def test_record_has_what_a_result_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The record has everything that it was given, and nothing private."""
    monkeypatch.setenv("WANDB_API_KEY", "a-secret-value")
    record = _record([f"data.forget=[{Path.home()}/rows.jsonl]", "method=chunked_lora"])
    text = json.dumps(record, allow_nan=False)
    assert "a-secret-value" not in text
    assert f"{Path.home()}/" not in text
    assert record["overrides"] == ["data.forget=[~/rows.jsonl]", "method=chunked_lora"]
    assert (record["started"], record["ended"]) == ("2026-01-02T01:04:05+00:00", "2026-01-02T01:05:05+00:00")
    assert record["stage_seconds"] == {"train": 60.0}
    assert record["tuned"] == ["sandbox_lora"]
    assert (record["data_fingerprint"], record["seeds"]) == ("abc", {"training": 1})
    assert isinstance(record["peak_memory_bytes"], int)
    assert record["peak_memory_bytes"] > 2**20
    assert record["device"]
    libraries = record["libraries"]
    assert isinstance(libraries, dict)
    assert all(libraries[name] for name in ("torch", "transformers", "peft", "lightning", "hydra"))


def test_a_time_without_a_zone_is_refused() -> None:
    """A time without a zone could mean any moment of a day."""
    with pytest.raises(ValueError, match="time zone"):
        provenance(
            code={},
            data_fingerprint=None,
            seeds={},
            overrides=[],
            tuned=[],
            started=datetime(2026, 1, 1),
            ended=datetime.now(UTC),
            stage_seconds={},
        )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("/home/alice/data/x.jsonl", "~/data/x.jsonl"),
        ("a=['/Users/bob','/home/carol/y']", "a=['~','~/y']"),
        ("in /root, not /rooted/tree", "in ~, not /rooted/tree"),
        ("C:\\Users\\dave\\x", "~\\x"),
        ({"path": ["/home/alice"], "n": 3, "none": None}, {"path": ["~"], "n": 3, "none": None}),
        ("/data/home/alice", "/data~"),
    ],
)
def test_home_folders_are_left_out(value: object, expected: object) -> None:
    """Every home folder in text, lists and mappings becomes a tilde."""
    assert without_home(value) == expected


def _git(folder: Path, *arguments: str) -> str:
    """Run git in a folder, and return what it prints."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_source_state_of_a_checkout(tmp_path: Path) -> None:
    """It has the commit, and tells whether a file differs from it."""
    _git(tmp_path, "init", "-q")
    (tmp_path / "a").write_text("1")
    _git(tmp_path, "add", "a")
    _git(tmp_path, "commit", "-qm", "first")
    assert source_state(tmp_path) == {"commit": _git(tmp_path, "rev-parse", "HEAD"), "dirty": False}
    (tmp_path / "a").write_text("2")
    state = source_state(tmp_path)
    assert state is not None
    assert state["dirty"] is True


def test_a_commit_while_a_process_runs_changes_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record names the commit whose code was loaded, and not the one that is there at the end."""
    _git(tmp_path, "init", "-q")
    _git(tmp_path, "commit", "-q", "--allow-empty", "-m", "first")
    first = _git(tmp_path, "rev-parse", "HEAD")
    monkeypatch.setattr(module, "checkout", lambda: tmp_path)
    code_state.cache_clear()
    cfg = OmegaConf.create({})
    hydra = OmegaConf.create({"mode": "RUN", "overrides": {"task": []}, "runtime": {"choices": {}}})
    begun = run_context(cfg, cast(HydraConf, hydra), tmp_path)
    _git(tmp_path, "commit", "-q", "--allow-empty", "-m", "second")
    later = run_context(cfg, cast(HydraConf, hydra), tmp_path)
    code_state.cache_clear()
    for context in (begun, later):
        assert save_provenance(MergeConfig(), "abc", {}, context)["source"]["commit"] == first
    assert json.loads((tmp_path / "provenance.json").read_text())["source"]["commit"] == first


def test_no_source_state_without_a_repository(tmp_path: Path) -> None:
    """There is no commit in a folder that is no repository."""
    assert source_state(tmp_path) is None
    assert source_state(None) is None


def test_a_wheel_inside_somebodys_repository_has_no_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit of a repository around an installed package says nothing about the package."""
    _git(tmp_path, "init", "-q")
    inside = tmp_path / "site-packages" / "unlearning" / "provenance.py"
    inside.parent.mkdir(parents=True)
    inside.write_text("")
    monkeypatch.setattr(module, "__file__", str(inside))
    assert module.checkout() is None
