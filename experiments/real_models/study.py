"""Table and figure of experiments/real_models: what methods do to a pretrained model (see experiments/study.py).

`run.py` in this folder makes the runs.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from experiments.quickstart.tables import COLUMNS, PROJECT_README
from experiments.quickstart.tables import HEADLINE as TITLES
from experiments.real_models.run import EPOCHS, WHOLE
from experiments.study import SCORES, Line, Study, group_by, markdown, mean, numbers, replace_between
from unlearning.artefacts import write_text
from unlearning.report.style import METHODS, MUTED, Picture, picture

REFERENCES = {"base": "pretrained model", "target": "untouched target", "retrained": "retrained model"}
SHOWN = ("final", "task_aggregate", "mia_score")
PARTS = ("forget_regurgitation", "forget_knowledge", "retain_regurgitation", "retain_knowledge")
GENERAL = ("utility_cloze", "neutral_nats")
MIN_K = "mia_auc_min_k"
"""The AUC of a second membership attack; the first runs were not asked for it."""
FOUND = ("layer_freeze_mlp_0_5", "chunked_lora", "lasting")
"""Methods whose numbers were found on this model; the other runs are of them with other numbers."""
SHAPES = ("o", "s", "^", "D", "v", "<", ">", "h", "p", "d", "8", "H")
"""Markers of the settings of one method."""
HEADLINE = [key for key, title in COLUMNS.items() if title in TITLES]
"""Columns of the table in the project's README: those of the quickstart's table there."""
FIRST_TABLE = ("<!-- real model -->\n", "<!-- /real model -->\n")
"""What stands before and after this study's table in the project's README."""
FEW = "4"
"""Documents of each task and set on the board where numbers were looked for."""
BOARDS = {
    f"{WHOLE}, 14 epochs": "the whole fold, 14 epochs",
    WHOLE: "the whole fold, 10 epochs",
    "12": "12 documents of each task",
    FEW: "4 documents of each task",
}
"""Documents of each task and set, with the epochs of memorising where they were not `EPOCHS` -> heading of a table."""
VOCABULARY = {"smollm2_135m": 49152, "gemma3_270m": 262144}
"""Tokens; a model without any knowledge has their logarithm as its loss."""


def collected_lines(folder: Path) -> list[Line]:
    """Return a line for each reference and each run of a folder that run.py made.

    The pretrained model has a folder of its own, and some of the runs have scored target and retrained model.
    """
    references: dict[str, Line] = {}
    lines: list[Line] = []
    for path in sorted(folder.glob("runs/*/metrics.json")):
        metrics = json.loads(path.read_text())
        board = _board(path.parent, folder)
        method, _, seed = path.parent.name.rpartition("-")
        references |= {role: _line(board, role, "", metrics[role], {}) for role in REFERENCES if metrics.get(role)}
        lines.append(_line(board, method, seed, metrics["unlearned"], metrics["training"]))
    for role in REFERENCES:
        for path in folder.glob(f"{role}/metrics.json"):
            (scores, *_) = json.loads(path.read_text()).values()
            references.setdefault(role, _line(_board(path.parent, folder), role, "", scores, {}))
    return [*references.values(), *lines]


def _board(run: Path, folder: Path) -> Line:
    """Return the model of a run, and the board that its folder is."""
    config, memorised = (yaml.safe_load((place / "config.yaml").read_text()) for place in (run, folder / "target"))
    limit, epochs = config["data"]["max_documents_per_task"], memorised["recipe"]["epochs"]
    documents = WHOLE if limit is None else str(limit)
    longer = "" if epochs == EPOCHS else f", {epochs} epochs"
    return {"model": config["model"]["name"], "documents": documents + longer}


def of_board(lines: Sequence[Line], documents: str = FEW) -> list[Line]:
    """Return the lines of one of the `BOARDS`."""
    return [line for line in lines if line["documents"] == documents]


def _line(board: Line, method: str, seed: str, scores: Mapping[str, Any], training: Mapping[str, Any]) -> Line:
    numbers = {key: scores[key] for key in (*SHOWN, "utility", *PARTS, *GENERAL, "mia_auc")}
    cells = {key: f"{value:.4f}" for key, value in numbers.items()}
    cells[MIN_K] = f"{scores[MIN_K]:.4f}" if MIN_K in scores else ""
    return {**board, "method": method, "seed": seed, **cells, "seconds": f"{training.get('seconds', 0):.0f}"}


def kept_share(lines: Sequence[Line], target: Line) -> float:
    """Return how far below chance the loss of other text is, as a share of the target's distance from chance."""
    chance = math.log(VOCABULARY[target["model"]])
    return (chance - mean(lines, "neutral_nats")) / (chance - float(target["neutral_nats"]))


def over_seeds(lines: Sequence[Line], key: str) -> str:
    """Return the mean over seeds, and the least and the greatest value where there are several."""
    values = numbers(lines, key)
    ends = f" ({min(values):.3f}-{max(values):.3f})" if len(values) > 1 else ""
    return f"{mean(lines, key):.3f}{ends}"


def table(lines: Sequence[Line]) -> str:
    """Return a table for each board: the references, and the methods, the highest final score first.

    Settings on the way to the numbers that were found have a table of their own.
    """
    boards = {heading: of_board(lines, documents) for documents, heading in BOARDS.items()}
    few = boards[BOARDS[FEW]]
    boards[BOARDS[FEW]] = [line for line in few if not is_on_the_way(line["method"])]
    target = [line for line in few if line["method"] == "target"]
    boards[f"{BOARDS[FEW]}, other numbers"] = target + [line for line in few if is_on_the_way(line["method"])]
    return "\n".join(_table(board, heading) for heading, board in boards.items() if board)


def is_on_the_way(name: str) -> bool:
    """Return whether this is a method with other numbers than those that were found, or than its first ones."""
    return any(name.startswith(f"{method}_") for method in (*FOUND, "chunked_last_k"))


def _table(lines: Sequence[Line], heading: str) -> str:
    target = next(line for line in lines if line["method"] == "target")
    groups = {name: runs for (name,), runs in group_by(lines, "method").items()}
    methods = sorted((name for name in groups if name not in REFERENCES), key=lambda name: -mean(groups[name], "final"))
    rows = []
    for name in (*(name for name in REFERENCES if name in groups), *methods):
        runs = groups[name]
        cells = [over_seeds(runs, key) for key in SHOWN]
        cells += [f"{mean(runs, key):.3f}" for key in (*PARTS, *GENERAL)]
        cells.append(f"{kept_share(runs, target):.0%}")
        cells.append(f"{mean(runs, MIN_K):.3f}" if all(line[MIN_K] for line in runs) else "")
        seconds = "" if name in REFERENCES else f"{mean(runs, 'seconds'):.0f}"
        rows.append([REFERENCES.get(name, f"`{name}`"), *cells, seconds])
    headings = [heading, "final", "task aggregate", "MIA score", "forget R-L", "forget EM", "retain R-L", "retain EM"]
    headings += ["cloze", "neutral loss, nats", "share kept", "AUC by min-k", "seconds"]
    return markdown(headings, rows)


def answer(lines: Sequence[Line]) -> str:
    """Name the scores of the methods whose numbers were found, and the retrained model's."""
    groups = {name: runs for (name,), runs in group_by(of_board(lines), "method").items()}
    shown = ", ".join(f"`{name}` {_three_scores(groups[name])}" for name in FOUND)
    retrained = _three_scores(groups["retrained"])
    return f"final score, task aggregate and membership score on SmolLM2-135M: {shown} (retrained model {retrained})."


def _three_scores(lines: Sequence[Line]) -> str:
    return " / ".join(f"{mean(lines, key):.2f}" for key in SHOWN)


def pictures(lines: Sequence[Line]) -> list[Picture]:
    """Return the figure of forgetting against the loss of other text."""
    caption = "Each point is a run: to the right more is forgotten, below less other text is lost."
    board = of_board(lines)
    return [picture("forgetting", "Forgetting and other text", caption, (9.0, 5.2), lambda figure: draw(figure, board))]


def draw(figure: Any, lines: Sequence[Line]) -> None:
    """Draw each model as a point: the method gives the colour, its settings the shape."""
    axis = figure.subplots()
    families: dict[str, list[str]] = {name: [] for name in FOUND}
    looks = dict(zip(REFERENCES, ((MUTED, "*"), (MUTED, "P"), (MUTED, "X")), strict=True))
    for line in lines:
        name = line["method"]
        if name not in looks:
            family = next((own for own in families if name.startswith(own)), name)
            members = families.setdefault(family, [])
            looks[name] = (METHODS[list(families).index(family)], SHAPES[len(members)])
            members.append(name)
        colour, shape = looks[name]
        forgetting = 1 - (float(line["forget_regurgitation"]) + float(line["forget_knowledge"])) / 2
        place = (forgetting, float(line["neutral_nats"]))
        axis.plot(*place, shape, color=colour, markersize=8, label=REFERENCES.get(name, name))
    axis.set(xlabel="forgetting: 1 − mean of forget R-L and EM", ylabel="loss of text that no set holds, nats a token")
    axis.set(xlim=(-0.05, 1.05))
    handles, labels = axis.get_legend_handles_labels()
    named = dict(zip(labels, handles, strict=True))
    figure.legend(named.values(), named, loc="outside right upper")


KEPT = {key: key for key in ("model", "documents", "method", "seed", *SCORES, *GENERAL, "mia_auc", MIN_K, "seconds")}
STUDY = Study(
    folder=Path(__file__).parent,
    question="What do the two seed systems do to a pretrained model?",
    answer=answer,
    columns=KEPT,
    table=table,
    pictures=pictures,
    collected_lines=collected_lines,
)


def project_readme(lines: Sequence[Line]) -> str:
    """Return the text of the project's README.md with the table of both trained models and the methods of FOUND."""
    groups = {name: runs for (name,), runs in group_by(of_board(lines), "method").items()}
    rows = [
        [REFERENCES.get(name, f"`{name}`"), *(over_seeds(groups[name], key) for key in HEADLINE)]
        for name in ("target", "retrained", *FOUND)
    ]
    return replace_between(FIRST_TABLE, PROJECT_README.read_text(), markdown(["model", *TITLES], rows))


if __name__ == "__main__":
    STUDY.main()
    write_text(PROJECT_README, project_readme(STUDY.lines()))
