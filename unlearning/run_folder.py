"""What a finished run leaves in its folder: weights, metrics, generations, provenance, report."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.artefacts import write_folder, write_json, write_jsonl
from unlearning.config import UnlearnConfig
from unlearning.evaluation.result import EvaluationResult
from unlearning.evaluation.semeval import official_record
from unlearning.training.stage import Unlearned

if TYPE_CHECKING:
    pass


def save_weights(
    config: UnlearnConfig, unlearned: Unlearned, tokenizer: PreTrainedTokenizerBase, run_dir: Path
) -> PreTrainedModel:
    """Write adapter/ (where LoRA was used) and model/ (merged, safetensors); returns the merged model."""
    from peft import PeftModel

    model: Any = unlearned.model
    if isinstance(model, PeftModel):
        if config.save_model:
            adapter = model
            write_folder(run_dir / "adapter", lambda folder: adapter.save_pretrained(folder))
        model = model.merge_and_unload()
    if config.save_model:
        write_folder(run_dir / "model", lambda folder: _save(model, tokenizer, folder))
    merged: PreTrainedModel = model.eval()
    return merged


def save_evaluation(label: str, result: EvaluationResult, run_dir: Path) -> None:
    """Write one model's evaluation: all of it, and the official evaluator's record."""
    write_json(run_dir / "evaluation" / f"{label}.json", result.to_json())
    write_jsonl(run_dir / "generations.jsonl", [asdict(item) for item in result.generations])
    write_jsonl(run_dir / "evaluation_results.jsonl", [official_record(result)])


def _save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
