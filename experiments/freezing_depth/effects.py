"""Collect the indirect effects by depth: `python -m experiments.freezing_depth.effects FOLDER`.

It reads FOLDER/DEPTH/layers.json, which unlearn-trace wrote, and writes effects.csv beside this file.
"""

import json
import sys
from pathlib import Path

from unlearning.artefacts import write_csv

HERE = Path(__file__).parent
METRIC = "answer_log_probability"


def curve(layers: dict[str, object]) -> dict[str, list[float]]:
    """Return the mean effect of each layer's MLP with its 95% interval, in nats a token."""
    effects = layers["effects"]
    assert isinstance(effects, list)
    of_metric = next(item for item in effects if item["metric"] == METRIC)
    mlp = next(
        item
        for item in of_metric["restorations"]
        if item["restoration"] == {"kind": "mlp", "window": 1, "severed": None}
    )
    return {key: mlp["effect"][key] for key in ("mean", "low", "high")}


def main(folder: Path) -> None:
    """Write effects.csv from the traces in the folder."""
    rows = []
    for path in sorted(folder.glob("*/layers.json"), key=lambda item: int(item.parent.name)):
        ends = curve(json.loads(path.read_text()))
        for layer, values in enumerate(zip(ends["mean"], ends["low"], ends["high"], strict=True)):
            rows.append([path.parent.name, layer, *(f"{value:.5f}" for value in values)])
    write_csv(HERE / "effects.csv", ["depth", "layer", "effect", "low", "high"], rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
