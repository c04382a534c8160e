"""A working folder for whole runs on the shipped sandbox, and what looks at them."""

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
SHORT_EVALUATION = ["evaluation.max_new_tokens=8", "evaluation.max_questions=12"]
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
    "layer_freeze": ["logger=wandb_offline"],
    "chunked_lora": ["logger=csv"],
    "grad_diff": ["logger=none", "evaluation.references=true"],
}
TOKENS = torch.arange(5, 45).reshape(2, 20)


def logits(model: Any) -> Tensor:
    """On tokens of no meaning."""
    with torch.no_grad():
        result: Tensor = model.eval()(input_ids=TOKENS).logits
    return result


def read(path: Path) -> Any:
    """A JSON file."""
    return json.loads(path.read_text())


@dataclass
class Workshop:
    """A working folder in which each method is run once."""

    folder: Path
    trained: dict[str, Tensor] = field(default_factory=dict)
    """Logits of each method's model as it was after training, before it was written."""

    def words(self, method: str) -> list[str]:
        """Of the command line."""
        return [f"method={method}", *SHORT, *OWN_WORDS.get(method, ["logger=none"]), f"hydra.run.dir={method}"]

    def run(self, method: str) -> Path:
        """The finished run's folder. Methods with words of their own have real figures."""
        if method not in self.trained:
            with nullcontext() if method in OWN_WORDS else empty_figures():
                ended = self._run_and_look(method)
            assert ended.code == 0, ended.err
        return self.folder / method

    def _run_and_look(self, method: str) -> Ended:
        original = run_folder.save_weights

        def looking(*arguments: Any) -> Any:
            model = original(*arguments)
            self.trained[method] = logits(model)
            return model

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(run_folder, "save_weights", looking)
            return run_command("unlearn", self.words(method), self.folder)
