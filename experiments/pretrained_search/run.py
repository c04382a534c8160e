"""Search each method's numbers on a pretrained model: `python -m experiments.pretrained_search.run FOLDER`.

It needs the official data ($UNLEARNING_DATA), and gets the weights by `experiments.real_models.fetch` if they are not
there. Each search has the same time and one thread, and is then told to stop. A search that has had its time is not
repeated; what was cut off goes on with the time that was left.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from experiments.real_models.fetch import FOLDER as FETCHED
from experiments.real_models.run import finish
from unlearning.artefacts import write_text

MODEL = "smollm2_135m"
DATA = ["data=semeval25", "data.max_documents_per_task=1", "data.mmlu=null"]
SCORED = ["evaluation=semeval", "evaluation.max_documents=20"]
RECIPE = ["recipe.epochs=10", "recipe.batch_rows=4", "recipe.optimizer.lr=2e-4", "recipe.optimizer.warmup_steps=5"]
SHARED = [
    *("tuned=none", "prompt.forget_supervised=document", "prompt.retain_supervised=document"),
    *("evaluation.references=false", "trainer.precision=bf16-mixed", "hydra.sweeper.n_trials=40"),
]
TOKENS_TURN = ["objective.reduction=token", "objective.ceiling_unit=token", "objective.above_ceiling=turn"]
"""As experiments/real_models found best: each token has the ceiling and turns back there."""
STEPS = ["schedule.batch_rows=4"]
ONE_NAME = ["trace=replacement", "trace.tokens=last_subject", "trace.kinds=[mlp]", "trace.severed=[]"]
"""A trace of half a minute. SHA256's, with ten draws of noise at every token, would take longer than the search."""


def rates(least: str, most: str) -> str:
    """Return the word of a range of learning rates: the upper decade of conf/search, where this model moves."""
    return f"optimizer.lr=tag(log, interval({least}, {most}))"


WHOLE, PARTS = rates("3e-5", "3e-4"), rates("3e-4", "3e-3")
METHODS = {
    "layer_freeze": [PARTS, *STEPS, *TOKENS_TURN, *ONE_NAME],
    "layer_freeze_mlp_0_5": [PARTS, *STEPS, *TOKENS_TURN],
    "chunked_lora": [PARTS, *TOKENS_TURN],
    "chunked_last_k": [rates("1e-4", "1e-3"), *TOKENS_TURN],
    "alternating_lora": [PARTS, *TOKENS_TURN],
    "grad_ascent": [rates("1e-5", "1e-4"), *STEPS, *TOKENS_TURN],
    "grad_diff": [WHOLE, *STEPS, *TOKENS_TURN],
    "kl_min": [WHOLE, *STEPS, *TOKENS_TURN],
    "npo": [WHOLE, *STEPS],
    "simnpo": [WHOLE, *STEPS],
    "wga": [WHOLE, *STEPS],
    "pdu": [WHOLE, *STEPS],
}
"""What each search is given besides `SHARED`."""


def main() -> None:
    """Make the target, and search for each method as long as for any other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=20, help="of each search")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    given = parser.parse_args()
    folder, weights = given.folder.resolve(), (FETCHED / MODEL).resolve()
    if not (weights / "config.json").exists():
        subprocess.run([sys.executable, "-m", "experiments.real_models.fetch", MODEL], check=True)
    start = [f"model={MODEL}", *DATA, *SCORED]
    finish("unlearn-memorise", [*start, f"model.path={weights}", *RECIPE], folder / "target")
    for method in given.methods:
        words = [*start, f"model.path={folder / 'target' / 'model'}", *words_of(method)]
        search(words, folder / "runs" / method, 60 * given.minutes)


def words_of(method: str) -> list[str]:
    """Return the words of a method's search."""
    return [f"search={method}", *SHARED, *METHODS[method]]


def search(words: list[str], folder: Path, seconds: float) -> None:
    """Search until this time is over, what an earlier call has used of it included."""
    used = folder / "seconds.txt"
    left = seconds - (float(used.read_text()) if used.exists() else 0.0)
    if left <= 0:
        return
    begun = time.monotonic()
    command = [Path(sys.executable).parent / "unlearn", "-m", *words, f"hydra.sweep.dir={folder}"]
    running = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        running.wait(left)
    except subprocess.TimeoutExpired:
        running.terminate()
        running.wait()
    finally:
        folder.mkdir(parents=True, exist_ok=True)
        spent = seconds - left + time.monotonic() - begun
        write_text(used, f"{spent:.1f}\n")
    print(f"{folder.name}: {spent:.0f} of {seconds:.0f} seconds, exit code {running.returncode}", flush=True)


if __name__ == "__main__":
    main()
