"""Finished facts on disk, so that a trace that was stopped goes on where it was."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from unlearning.artefacts import write_text
from unlearning.config import TraceConfig
from unlearning.mediation.result import FactTrace
from unlearning.mediation.subject import Probe

SAMPLED = 64
"""Values of each parameter that stand for it in the fingerprint."""
CHOICES = ("select", "rule", "value", "max_rows")
"""Settings that do not change what is measured."""


def fingerprint(model: PreTrainedModel, config: TraceConfig, probes: Sequence[Probe], noise_scale: float) -> str:
    """SHA-256 of all that a fact's scores depend on: settings, tokens, noise, and a sample of every parameter."""
    settings = {key: value for key, value in asdict(config).items() if key not in CHOICES}
    tokens = sorted((p.fact.id, list(p.input_ids), list(p.subject), p.answer_start) for p in probes)
    digest = hashlib.sha256(json.dumps([settings, noise_scale, tokens]).encode())
    for name, parameter in model.named_parameters():
        values = parameter.detach().flatten()
        sample = values[:: max(1, len(values) // SAMPLED)].to("cpu", torch.float64)
        digest.update(f"{name}{tuple(parameter.shape)}{parameter.dtype}".encode() + sample.numpy().tobytes())
    return digest.hexdigest()


class Journal:
    """A JSONL file: a line with the fingerprint, then a line a fact.

    What a different fingerprint wrote is thrown away, and so is everything from the first broken line on: a kill
    leaves at most one, the last.
    """

    def __init__(self, path: Path, key: str) -> None:
        self.path = path
        self.finished: dict[str, FactTrace] = {}
        lines = [_line({"key": key})]
        for line in self._old_lines(lines[0]):
            trace = _trace(line)
            if trace is None:
                break
            self.finished[trace.fact] = trace
            lines.append(line)
        write_text(path, "".join(lines))

    def append(self, trace: FactTrace) -> None:
        """Add one fact; it is on disk when this returns."""
        with self.path.open("a", encoding="utf-8") as handle:
            handle.write(_line(trace.to_json()))
            handle.flush()
            os.fsync(handle.fileno())
        self.finished[trace.fact] = trace

    def _old_lines(self, header: str) -> list[str]:
        """Lines after the header, which must be the expected one; none where there is no such file."""
        if not self.path.is_file():
            return []
        lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        return lines[1:] if lines[:1] == [header] else []


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
