"""A working folder for whole runs on the shipped sandbox, and functions that look at their results."""

import json
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.command_line import Ended, run_command
from tests.empty_figures import empty_figures
from unlearning.commands.stages.sandbox_models import ASSETS
from unlearning.runs import folder as run_folder

TARGET = ASSETS / "target"
SHORT_EVALUATION = ["evaluation.max_new_tokens=4", "evaluation.max_questions=4", "evaluation.max_documents=4"]
SHORT = [
    "trainer=cpu",
    "trainer.max_steps=2",
    "trace.facts=1",
    "trace.draws=1",
    "data.max_documents_per_task=1",
    "evaluation.references=false",
    *SHORT_EVALUATION,
]
OWN_WORDS = {
    "kl_min": ["logger=wandb_offline"],
    "chunked_lora": ["logger=csv"],
    "grad_diff": ["logger=none", "evaluation.references=true"],
}
DRAWN = "grad_ascent"
"""The method whose run draws its figures."""
TOKENS = torch.arange(5, 45).reshape(2, 20)


def logits(model: Any) -> Tensor:
    """Return the model's logits on tokens without meaning."""
    with torch.no_grad():
        result: Tensor = model.eval()(input_ids=TOKENS).logits
    return result


def read(path: Path) -> Any:
    """Return the content of a JSON file."""
    return json.loads(path.read_text())


@dataclass
class SandboxRuns:
    """A working folder in which each method is run once."""

    folder: Path
    trained: dict[str, Tensor] = field(default_factory=dict)
    """Logits of each method's model after training, before it was written."""
    printed: dict[str, str] = field(default_factory=dict)
    """What each method's run printed."""

    def words(self, method: str) -> list[str]:
        """Return the command line of a method's run."""
        return [f"method={method}", *SHORT, *OWN_WORDS.get(method, ["logger=none"]), f"hydra.run.dir={method}"]

    def run(self, method: str) -> Path:
        """Return the finished run's folder."""
        if method not in self.trained:
            with nullcontext() if method == DRAWN else empty_figures():
                ended = self._run_and_record(method)
            assert ended.code == 0, ended.err
            self.printed[method] = ended.out
        return self.folder / method

    def _run_and_record(self, method: str) -> Ended:
        """Run a method, and record the logits of the model that it saves."""
        original = run_folder.save_weights

        def recording(*arguments: Any) -> Any:
            model = original(*arguments)
            self.trained[method] = logits(model)
            return model

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(run_folder, "save_weights", recording)
            return run_command("unlearn", self.words(method), self.folder)
