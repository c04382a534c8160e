"""What a run left in its folder, as Python objects."""

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearning.errors import InputError
from unlearning.runs.status import read_status

if TYPE_CHECKING:
    from pandas import DataFrame
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from unlearning.evaluation.result import EvaluationResult, Generation
    from unlearning.mediation.selection import Selection


class Run:
    """What a run of any command left in its folder; each part is read when it is asked for."""

    def __init__(self, folder: str | Path) -> None:
        """Take the folder of a run. Raises InputError where it does not exist."""
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise InputError(f"{self.folder}: no such folder")

    def __repr__(self) -> str:
        """Return the folder and the state of the run."""
        return f"Run({str(self.folder)!r}), {self.state}"

    @property
    def state(self) -> str:
        """Return "finished", "failed", "ended early", "interrupted" or "running"; "unknown" for a folder of no run."""
        return str(read_status(self.folder)["state"])

    @cached_property
    def evaluations(self) -> "dict[str, EvaluationResult]":
        """Return everything that was measured of each model, by its label.

        Labels of `unlearn` are "unlearned", "target" and "retrained"; `unlearn-memorise` has "memorised", and
        `unlearn-evaluate` the model's name. Empty for commands that score nothing.
        """
        from unlearning.evaluation.result import EvaluationResult

        return {path.stem: EvaluationResult.from_json(_json(path)) for path in self._files("evaluation/*.json")}

    @property
    def metrics(self) -> dict[str, dict[str, float | None]]:
        """Return the metrics of each model by its label, as `metrics["unlearned"]["final"]`.

        None is a metric that the data does not allow. The keys are those of metrics.json.
        """
        return {label: result.metrics for label, result in self.evaluations.items()}

    @property
    def generations(self) -> "list[Generation]":
        """Return the answers of the run's own model to all forget and retain rows, each with its score.

        Those of the other models are in `evaluations["target"].generations`. Raises InputError where there are none.
        """
        from unlearning.evaluation.result import Generation

        lines = self._existing("generations.jsonl").read_text(encoding="utf-8").splitlines()
        return [Generation(**json.loads(line)) for line in lines]

    @property
    def layers(self) -> "Selection":
        """Return the layers that tracing chose, with the rule and its numbers. Raises InputError without a trace."""
        from unlearning.mediation.layers import read_layers

        return read_layers(self.folder / "layers.json")

    def table(self, name: str) -> "DataFrame":
        """Return a table of the folder: "loss_curve", "checks", "probes" (CSV) or "effects" (parquet).

        Raises InputError where the run has no such table.
        """
        import pandas

        parquet = self.folder / f"{name}.parquet"
        return pandas.read_parquet(parquet) if parquet.exists() else pandas.read_csv(self._existing(f"{name}.csv"))

    def model(self) -> "PreTrainedModel":
        """Return the run's model in evaluation mode, on the CPU, in the type that it was saved in.

        Raises InputError where the run saved none (save_model=false, or a command that makes no model).
        """
        from transformers import AutoModelForCausalLM

        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(self._existing("model"), use_safetensors=True)
        return model.eval()

    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """Return the tokenizer that the run used. Raises InputError as `model`."""
        from transformers import AutoTokenizer

        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(self._existing("model"))
        return tokenizer

    @property
    def report(self) -> Path:
        """Return the path of the page that shows the whole run. Raises InputError where there is none."""
        return self._existing("report.html")

    @property
    def figures(self) -> dict[str, Path]:
        """Return the paths of the run's figures (PNG) by their names, such as "heat_map"."""
        return {path.stem: path for path in self._files("plots/*.png")}

    def _files(self, pattern: str) -> list[Path]:
        return sorted(self.folder.glob(pattern))

    def _existing(self, name: str) -> Path:
        """Return the path of a part of the folder. Raises InputError where it is not there."""
        path = self.folder / name
        if not path.exists():
            raise InputError(f"{path}: not there; the run is {self.state}")
        return path


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
