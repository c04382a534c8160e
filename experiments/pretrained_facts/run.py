"""Trace facts that pretrained models know: `python -m experiments.pretrained_facts.run FOLDER`.

The facts of facts.jsonl were learnt in pretraining. With --memorised-MODEL, official questions about persons are traced
too, in the models that `experiments.real_models.run` has made to memorise them. A trace that is finished is not
repeated, and one that was interrupted goes on where it was.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.real_models.fetch import FOLDER as FETCHED
from experiments.real_models.fetch import SOURCES
from experiments.real_models.run import rows_of

MEMORISED = {"smollm2_135m": "4", "gemma3_270m": "12"}
"""How many official documents of each task and set each model's target has memorised."""
HERE = Path(__file__).resolve().parent
ROWS = ["data=jsonl", f"data.forget=[{HERE / 'facts.jsonl'}]", f"data.retain=[{HERE / 'others.jsonl'}]"]
"""The second set is never traced, but a data set has two."""
TRACED = 60
"""Facts that are traced at most, of those that the model knows."""
COMMON = [f"trace.facts={TRACED}", "trace.tokens=last_subject", "trace.kinds=[mlp,attention]", "trace.window=10"]
COMMON += ["trace.severed=[]", "logger=none"]
CORRUPTIONS = {"replacement": ["trace=replacement", *COMMON], "noise": [*COMMON, "trace.draws=1"]}
WEIGHTS = ["trace=weights", f"trace.facts={TRACED}", "trace.rule=top_share", "trace.value=0.2", "logger=none"]
AGAINST_BASE = {
    "base_model": ["trace=base_model", *COMMON],
    "weights": WEIGHTS,
    "weights_into_base": [*WEIGHTS, "trace.direction=denoising"],
}
"""How memorised facts are traced besides: by the model before it memorised them."""


def main() -> None:
    """Make all traces."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", nargs="+", choices=SOURCES, default=list(SOURCES))
    parser.add_argument("--weights", type=Path, default=FETCHED, help="the folder of experiments.real_models.fetch")
    for model, documents in MEMORISED.items():
        about = f"the folder of experiments.real_models.run for {model} with {documents} documents"
        parser.add_argument(
            f"--memorised-{model.partition('_')[0]}", type=Path, dest=model, metavar="BOARD", help=about
        )
    given = parser.parse_args()
    for model in given.models:
        start = [f"model={model}", f"model.path={(given.weights / model).resolve()}", *ROWS]
        for name, words in CORRUPTIONS.items():
            trace([*start, *words], given.folder / f"{model}-pretrained-{name}")
    for model, documents in MEMORISED.items():
        if folder := getattr(given, model):
            trace_memorised(model, documents, folder.resolve(), (given.weights / model).resolve(), given.folder)


def trace_memorised(model: str, documents: str, board: Path, weights: Path, folder: Path) -> None:
    """Trace what a target has memorised."""
    start = [f"model={model}", f"model.path={board / 'target' / 'model'}", *rows_of(documents)]
    for name, words in CORRUPTIONS.items():
        trace([*start, *words], folder / f"{model}-memorised-{name}")
    for name, words in AGAINST_BASE.items():
        trace([*start, *words, f"trace.base_model={weights}"], folder / f"{model}-memorised-{name}")


def trace(words: Sequence[str], folder: Path) -> None:
    """Trace, or go on tracing, unless the folder has its page."""
    if not (folder / "report.html").exists():
        command = Path(sys.executable).parent / "unlearn-trace"
        done = subprocess.run([command, *words, f"hydra.run.dir={folder.resolve()}"], check=False)
        print(f"{folder.name}: exit code {done.returncode}", flush=True)


if __name__ == "__main__":
    main()
