"""All metrics of one model: its parts are measured, or read from their files, and then the metrics are computed."""

import json
import logging
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.artefacts import write_json
from unlearning.config.evaluation import EvaluationConfig
from unlearning.config.prompt import PromptConfig
from unlearning.data.rows import Corpus
from unlearning.evaluation.distribution import ProcessGroup
from unlearning.evaluation.evaluated_model import EvaluatedModel
from unlearning.evaluation.parts import PARTS, Part
from unlearning.evaluation.result import EvaluationResult
from unlearning.evaluation.summary import summarise
from unlearning.locks.lock import lock_file, only_one
from unlearning.models.match import require_match

log = logging.getLogger(__name__)


def evaluate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    corpus: Corpus,
    config: EvaluationConfig,
    prompt: PromptConfig,
    label: str,
    reference: EvaluationResult | None = None,
    folder: Path | None = None,
    processes: ProcessGroup | None = None,
) -> EvaluationResult:
    """Score the model on its device; `label` names it in the log.

    - `reference` is the evaluation of the retrained model, which some metrics compare with.
    - Each part is written to `folder` once it is measured, and read from there if it exists, so that an evaluation that
      was interrupted goes on with the next part.
    - `processes` share the work, and each of them returns the result; the first one reads and writes the files.
    - The result's `metrics` have every key of METRICS, and a mean for each split, task and kind of row. A metric that
      the data does not allow is None; where the final score needs it, `missing` has a line that says why.

    Raises InputError for a tokenizer of another model, a missing chat template, a row, document or question that does
    not fit into the model's context, and for losses or logits that are not a number.
    """
    require_match(model, tokenizer)
    processes = processes or ProcessGroup()
    evaluated = EvaluatedModel(model, tokenizer, corpus, config, prompt)
    scores = {
        name: _load_or_measure(None if folder is None else folder / f"{name}.json", evaluated, part, processes)
        for name, part in PARTS.items()
    }
    result = summarise(scores, corpus, config, reference)
    result.weights_dtype = str(model.dtype).removeprefix("torch.")
    if processes.is_writer:
        log.info("%s: final score %s", label, result.metrics["final"])
    return result


def _load_or_measure(path: Path | None, evaluated: EvaluatedModel, part: Part, processes: ProcessGroup) -> list[Any]:
    """Return the part's scores from its file; without a readable file, measure them and write it."""
    found: list[Any] | None = processes.broadcast(_read(path, part) if processes.is_writer else None)
    if found is not None:
        return found
    if path is None or processes.share.processes > 1:
        # Several processes cannot wait for another command: those that do not hold the lock would time out.
        return _measure(path, evaluated, part, processes)
    with only_one(lock_file(path)):
        # Another command may have measured it meanwhile.
        found = _read(path, part)
        return _measure(path, evaluated, part, processes) if found is None else found


def _measure(path: Path | None, evaluated: EvaluatedModel, part: Part, processes: ProcessGroup) -> list[Any]:
    """Return the part's scores, measured now, and write them to the file, if there is one."""
    scores = processes.collect_scores(lambda share: part.measure(replace(evaluated, share=share)), part.divided)
    if path is not None and processes.is_writer:
        write_json(path, [asdict(score) for score in scores])
    return scores


def _read(path: Path | None, part: Part) -> list[Any] | None:
    if path is None:
        return None
    try:
        return [part.score(**item) for item in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return None
