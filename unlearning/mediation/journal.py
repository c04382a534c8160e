"""Finished facts on disk, so that a trace that was stopped goes on where it was."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from unlearning.artefacts import write_text
from unlearning.config import TraceConfig
from unlearning.mediation.result import FactTrace
from unlearning.mediation.subject import Probe
from unlearning.models.weights_hash import weights_hash

CHOICES = ("base_model", "select", "rule", "value", "min_total_effect", "memory_gib")
"""Settings that do not change what is measured (the base model counts by its weights)."""

ELSEWHERE = ("_name_or_path", "transformers_version", "architectures")
"""Of a model's configuration, what does not change what it computes."""


def fingerprint(
    models: Sequence[PreTrainedModel], config: TraceConfig, probes: Sequence[Probe], noise_scale: float
) -> str:
    """SHA-256 of all that a fact's scores depend on: settings, tokens, noise, architecture and weights."""
    settings = {key: value for key, value in asdict(config).items() if key not in CHOICES}
    tokens = sorted(
        (p.fact.id, p.input_ids, list(p.subject), p.answer_start, p.foils, list(p.contrast or ())) for p in probes
    )
    digest = hashlib.sha256(json.dumps([settings, noise_scale, tokens]).encode())
    for model in models:
        digest.update(f"{model.config._attn_implementation}{_architecture(model)}".encode())
        digest.update(weights_hash(model).encode())
    return digest.hexdigest()


def _architecture(model: PreTrainedModel) -> str:
    """The model's configuration, without where it came from."""
    settings = {key: value for key, value in model.config.to_dict().items() if key not in ELSEWHERE}
    return json.dumps(settings, sort_keys=True, default=str)


class Journal:
    """A JSONL file: a line with the fingerprint, then a line a fact.

    What a different fingerprint wrote is thrown away, and so is everything from the first broken line on: a kill
    leaves at most one, the last. Files of further processes lie beside it (`of_rank`).
    """

    def __init__(self, path: Path, key: str) -> None:
        self.path = path
        self.key = key
        self.finished = read_journal(path, key)
        self._write()

    def append(self, traces: Sequence[FactTrace]) -> None:
        """Add facts; they are on disk when this returns."""
        with self.path.open("a", encoding="utf-8") as handle:
            handle.writelines(_line(trace.to_json()) for trace in traces)
            handle.flush()
            os.fsync(handle.fileno())
        self.finished |= {trace.fact: trace for trace in traces}

    def absorb(self) -> None:
        """Take over what other processes wrote beside this file, and remove their files."""
        others = sorted(self.path.parent.glob(of_rank(self.path, "*").name))
        for other in others:
            self.finished |= read_journal(other, self.key)
        self._write()
        for other in others:
            other.unlink()

    def _write(self) -> None:
        lines = [_line({"key": self.key}), *(_line(trace.to_json()) for trace in self.finished.values())]
        write_text(self.path, "".join(lines))


def of_rank(path: Path, rank: int | str) -> Path:
    """The file of another process than the main one."""
    return path.with_name(f"{path.stem}.rank{rank}{path.suffix}")


def read_journal(path: Path, key: str) -> dict[str, FactTrace]:
    """The facts of a file whose header names the key, up to the first broken line; none where there is no such file."""
    if not path.is_file():
        return {}
    header, *lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True) or [""]
    found: dict[str, FactTrace] = {}
    for line in lines if header == _line({"key": key}) else []:
        trace = _trace(line)
        if trace is None:
            break
        found[trace.fact] = trace
    return found


def _trace(line: str) -> FactTrace | None:
    """The fact of a line; None if the line is broken."""
    if not line.endswith("\n"):
        return None
    try:
        return FactTrace.from_json(json.loads(line))
    except (ValueError, KeyError, TypeError):
        return None


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, allow_nan=False) + "\n"
