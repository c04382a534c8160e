"""The command unlearn-memorise: train a model until it has memorised the rows, and score it."""

import shutil
from dataclasses import asdict
from functools import partial
from pathlib import Path

from pytorch_lightning.loggers import Logger

from unlearning.artefacts import write_folder, write_json
from unlearning.commands.stages.architecture import record_architecture
from unlearning.commands.stages.clock import StageClock
from unlearning.commands.stages.ending import show_files
from unlearning.commands.stages.evaluate import evaluate_model
from unlearning.commands.stages.first_checks import check_memorising
from unlearning.commands.stages.known import read_start
from unlearning.commands.stages.load import RunInputs
from unlearning.commands.stages.memorise import memorise, starting_point
from unlearning.commands.stages.sandbox_models import build_sandbox
from unlearning.config.commands import MemoriseConfig
from unlearning.context import RunContext, on_main_process
from unlearning.evaluation import harness
from unlearning.report.evaluation_part import print_result
from unlearning.runs.folder import merged, save_and_show, save_evaluation, save_provenance
from unlearning.runs.tracking import finish, make_loggers
from unlearning.training.checkpoint import CHECKPOINT
from unlearning.training.hardware import require_hardware

FILES = {
    "model": "the weights and the tokenizer, for model.path",
    "metrics.json": "all scores",
    "generations.jsonl": "every answer, beside the right one",
}


def run(config: MemoriseConfig, context: RunContext) -> None:
    """Train a model on the rows; its weights and its scores go to the run folder.

    With `assets`, both models of the sandbox are built there instead. Raises InputError for what a user can mend,
    Interrupted on Ctrl-C.
    """
    require_hardware(config.trainer)
    harness.require_harness(config.evaluation.harness)
    clock, run_dir = StageClock(), context.run_dir
    if config.assets is not None:
        with clock.stage("build the sandbox's target and retrained model"):
            build_sandbox(config, Path(config.assets), _loggers(config, context))
        return
    known = read_start(config)
    check_memorising(config, known, run_dir)
    corpus = known.corpus
    with clock.stage("load"):
        model, tokenizer = starting_point(config, known.tokenizer)
        record_architecture(model, run_dir)
    loggers = _loggers(config, context)
    with clock.stage("memorise"):
        trained, record = memorise(
            model, tokenizer, corpus, config.forget, config, config.prompt, config.scope, run_dir, loggers
        )
    if not on_main_process():
        return
    model = merged(trained)
    write_folder(run_dir / "model", partial(save_and_show, model, tokenizer))
    with clock.stage("evaluate"):
        inputs = RunInputs(corpus, str(run_dir / "model"), None, model, tokenizer)
        result = evaluate_model(config, inputs, model, config.model.name, None)
    save_evaluation("memorised", result, run_dir)
    metrics = {"memorised": result.metrics, "missing": result.missing, "scorers": result.scorers}
    metrics["training"] = asdict(record)
    save_provenance(config, corpus.fingerprint, clock.seconds, context)
    write_json(run_dir / "metrics.json", metrics)
    weights = run_dir / "model" if config.logger.log_model else None
    finish(loggers, result.metrics, generations=result.generations, model=weights)
    shutil.rmtree(run_dir / CHECKPOINT, ignore_errors=True)
    print_result(config.model.name, result)
    show_files(run_dir, FILES)


def _loggers(config: MemoriseConfig, context: RunContext) -> list[Logger]:
    return make_loggers(config.logger, f"{config.name}-{config.seed}", "memorise", context)
