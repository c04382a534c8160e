"""A trace as `unlearn-trace` leaves it, of a model that never was: 24 facts, 7 restorations, a grid of tokens."""

import json
import tempfile
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from tests.mediation.builders import deep_model
from tests.report.fabricated_config import configuration
from unlearning.config.scope import ModuleKind
from unlearning.config.trace import SelectionRule, TraceConfig, TracedTokens, TraceMode
from unlearning.mediation.encoded_fact import EncodedFact
from unlearning.mediation.facts import TEMPLATES, Fact
from unlearning.mediation.layers import write_layers
from unlearning.mediation.result import METRICS, FactCounts, FactTrace, LayerGradients, TraceResult
from unlearning.mediation.selection import select
from unlearning.mediation.states import Restoration, Site, restorations_of, sites_of

DEPTH = 16
PROMPT = ("What", " is", " the", " birth", " date", " of")
NAMES = ((" An", "nel", "iese", " Holz"), (" Jo",), (" Mar", "ia", " Constantinopolitana"), (" Bo", " Ek"))
END = ("?", "\n", "Answer", ":")
TOTAL = 4.0
CONFIG = TraceConfig(
    kinds=[ModuleKind.layer, ModuleKind.mlp, ModuleKind.attention],
    severed=[ModuleKind.mlp, ModuleKind.attention],
    tokens=TracedTokens.grid,
    window=10,
    draws=2,
    rule=SelectionRule.confidence,
)
"""Everything that can be traced at once."""
PLAIN = TraceConfig(draws=2)
"""The default settings: all subject tokens together, single modules."""
COVERAGE = TraceConfig(severed=[ModuleKind.mlp, ModuleKind.attention], draws=2, rule=SelectionRule.coverage, value=0.9)
"""What layer_freeze traces on the sandbox, with two draws."""
SETTINGS = {"grid": CONFIG, "plain": PLAIN, "coverage": COVERAGE}
COUNTS = FactCounts(unknown=("7f03", "7f04", "7f09"), without_foil=(), below_min_effect=("7f11",), not_needed=97)
PEAKS = {
    "first_subject": {"layer": (0.3, 0), "mlp": (0.05, 1), "attention": (0.02, 0)},
    "middle_subject": {"layer": (0.6, 1), "mlp": (0.10, 2), "attention": (0.03, 1)},
    "last_subject": {"layer": (2.4, 4), "mlp": (0.55, 4), "attention": (0.10, 3)},
    "first_after": {"layer": (0.3, 9), "mlp": (-0.12, 9), "attention": (0.08, 8)},
    "further": {"layer": (0.2, 10), "mlp": (0.04, 10), "attention": (0.05, 10)},
    "last": {"layer": (3.4, 15), "mlp": (0.25, 13), "attention": (0.45, 11)},
    "subject": {"layer": (2.9, 3), "mlp": (0.80, 3), "attention": (0.15, 2)},
}
"""Height and layer of the largest effect, by group and kind."""


def trace_result(config: TraceConfig = CONFIG, depth: int = DEPTH, facts: int = 24) -> TraceResult:
    """Return scores that peak where ROME's do."""
    restorations = restorations_of(config)
    traces = tuple(_fact(number, config, restorations, depth) for number in range(facts))
    return TraceResult(restorations, depth, TraceMode.exact, config.direction, 0.31, traces, COUNTS)


def _fact(number: int, config: TraceConfig, restorations: tuple[Restoration, ...], depth: int) -> FactTrace:
    source = np.random.default_rng(number)
    name = NAMES[number % len(NAMES)]
    tokens = (*PROMPT, *name, *END)
    subject = range(len(PROMPT), len(PROMPT) + len(name))
    relation = list(TEMPLATES)[number % len(TEMPLATES)]
    fact = EncodedFact(
        Fact(f"fact/{number}", "", "", 0, "", f"person {number // 2}", relation), (), subject, len(tokens)
    )
    sites = sites_of(fact, config)
    strength, shift = source.normal(1, 0.3), source.normal(0, 1.5)
    effects = np.stack([strength * _effects(restoration, sites, depth, shift) for restoration in restorations])
    noise = source.normal(0, 0.25, (*effects.shape, config.runs))
    nothing = source.normal(0, 0.25, (*effects.shape[:2], config.runs))
    return FactTrace(
        fact.source.id,
        fact.source.person,
        relation,
        tokens,
        sites,
        clean=_scores(np.array(-0.2)),
        corrupted=_scores(np.full(config.runs, -0.2 - TOTAL * strength)),
        patched=_scores(effects[..., None] + noise - 0.2 - TOTAL * strength),
        placebo=_scores(nothing - 0.2 - TOTAL * strength) if config.with_placebo else None,
    )


def _effects(restoration: Restoration, sites: tuple[Site, ...], depth: int, shift: float) -> NDArray[np.float64]:
    """Return effects (L, sites) of a fact whose peaks are `shift` layers higher."""
    layers = np.arange(depth) * DEPTH / depth
    columns = []
    for site in sites:
        height, peak = PEAKS.get(site.group, PEAKS["further"])[str(restoration.kind)]
        wide = 3.0 + 0.35 * (restoration.window - 1)
        own = height * (1 + 0.12 * (restoration.window - 1)) * np.exp(-(((layers - peak - shift) / wide) ** 2))
        if restoration.severed is ModuleKind.mlp:
            own = own * np.clip(0.25 + layers / 12, 0, 1)
        if restoration.severed is ModuleKind.attention:
            own = own * np.clip(0.8 + layers / 60, 0, 1)
        columns.append(own)
    return np.stack(columns, axis=1)


def _scores(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the same number for every metric."""
    return np.repeat(values[..., None], len(METRICS), axis=-1)


@cache
def layers_text(config: str = "grid", depth: int = DEPTH) -> str:
    """The content of layers.json of `trace_result`, written by the tracer's own hands."""
    settings = SETTINGS[config]
    result = trace_result(settings, depth)
    pull = tuple(float(value) for value in np.random.default_rng(3).random(depth))
    selection = select(result, settings, LayerGradients(pull, pull[::-1]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "layers.json"
        write_layers(path, deep_model("gpt2", depth), selection, result, settings)
        return path.read_text()


def write_trace_run(folder: Path, config: str = "grid", depth: int = DEPTH, **changes: object) -> Path:
    """A run folder of `unlearn-trace`, its layers.json with other values for some keys."""
    folder.mkdir(parents=True)
    made = configuration("trace", "model=local", "model.name=olmo", "model.path=/home/somebody/olmo")
    made["trace"] = json.loads(json.dumps(asdict(SETTINGS[config])))
    (folder / "config.yaml").write_text(yaml.safe_dump(made, sort_keys=False))
    (folder / "status.json").write_text(json.dumps({"state": "running", "error": None, "resume": "unlearn-trace ..."}))
    (folder / "layers.json").write_text(json.dumps({**json.loads(layers_text(config, depth)), **changes}))
    return folder
