"""Trace facts that pretrained models know: `python -m experiments.pretrained_facts.run FOLDER`.

The facts of facts.jsonl were learnt in pretraining. With --memorised, official questions about persons are traced too,
in the model that `experiments.real_models.run` has made to memorise them. A trace that is finished is not repeated, and
one that was interrupted goes on where it was.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.real_models.fetch import FOLDER as FETCHED
from experiments.real_models.fetch import SOURCES

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
    parser.add_argument("--memorised", type=Path, help="the folder of experiments.real_models.run")
    given = parser.parse_args()
    for model in given.models:
        start = [f"model={model}", f"model.path={(given.weights / model).resolve()}", *ROWS]
        for name, words in CORRUPTIONS.items():
            trace([*start, *words], given.folder / f"{model}-pretrained-{name}")
    if given.memorised:
        model = "smollm2_135m"
        start = [f"model={model}", f"model.path={given.memorised.resolve() / 'target' / 'model'}"]
        start += ["data=semeval25_validation", "data.max_documents_per_task=4"]
        base = f"trace.base_model={(given.weights / model).resolve()}"
        for name, words in {**CORRUPTIONS, **AGAINST_BASE}.items():
            own = [base] if name in AGAINST_BASE else []
            trace([*start, *words, *own], given.folder / f"{model}-memorised-{name}")


def trace(words: Sequence[str], folder: Path) -> None:
    """Trace, or go on tracing, unless the folder has its page."""
    if not (folder / "report.html").exists():
        command = Path(sys.executable).parent / "unlearn-trace"
        done = subprocess.run([command, *words, f"hydra.run.dir={folder.resolve()}"], check=False)
        print(f"{folder.name}: exit code {done.returncode}", flush=True)


if __name__ == "__main__":
    main()
