"""Causal mediation analysis: which states are patched, and how layers are chosen from the effects."""

from dataclasses import dataclass, field
from enum import StrEnum

from unlearning.config.checks import above, at_least, require, some_of, within
from unlearning.config.scope import ModuleKind


class TraceMode(StrEnum):
    """How an indirect effect is measured."""

    exact = "exact"
    """Every state is patched and the model run (Vig et al. 2020; Meng et al. 2022)."""
    screen = "screen"
    """Attribution patching, the first-order estimate (Nanda 2023), and its rank correlation with exact effects."""
    weights = "weights"
    """The weights of one part are exchanged with those of trace.base_model, a layer at a time."""


class Corruption(StrEnum):
    """What takes the knowledge of the subject out of the corrupted run."""

    noise = "noise"
    """Gaussian noise on the embeddings of the subject's tokens (Meng et al. 2022)."""
    replacement = "replacement"
    """The name of another person, of as many tokens, in the same question (Zhang and Nanda 2024)."""
    base_model = "base_model"
    """The same prompt in trace.base_model, which does not know the fact."""


class NoiseUnit(StrEnum):
    """Whose embeddings' standard deviation is the unit of the noise; one number, over all elements of all tokens."""

    prompts = "prompts"
    """The subjects' tokens as they stand in the prompts of the traced facts."""
    names = "names"
    """The tokens of the names of all facts of the split, each tokenised by itself, whether or not the model knows the
    fact (LAB-FLAIR's code and ROME's)."""


class Wording(StrEnum):
    """How the official questions about a person are put."""

    official = "official"
    """As the data has them, "What is the birth date of X?"."""
    possessive = "possessive"
    """All five relations as "What is X's birth date?", as LAB-FLAIR traced them; 3 of the 5 are so in the data."""


class Direction(StrEnum):
    """Which run is patched with states of the other."""

    denoising = "denoising"
    """The corrupted run with clean states: is the state enough for the answer?"""
    noising = "noising"
    """The clean run with corrupted states: does the answer need the state?"""


class TracedSplit(StrEnum):
    """The set whose facts are traced."""

    forget = "forget"
    """The facts to be forgotten."""
    retain = "retain"
    """The facts to be kept, as LAB-FLAIR has it."""


class TracedTokens(StrEnum):
    """Which positions are patched."""

    subject = "subject"
    """All subject tokens at once."""
    last_subject = "last_subject"
    """The subject's last token."""
    last = "last"
    """The prompt's last token."""
    two_rows = "two_rows"
    """The subject's last token and the prompt's last, each on its own."""
    grid = "grid"
    """Every position on its own."""


class SelectionRule(StrEnum):
    """How layers are chosen from indirect effects."""

    confidence = "confidence"
    """Layers whose effect is above the median layer's and above the placebo's, both with confidence `value` for all
    layers at once."""
    threshold = "threshold"
    """Layers whose effect is at least `value` times the largest."""
    coverage = "coverage"
    """The smallest contiguous range with at least `value` of the summed positive effect."""
    top_share = "top_share"
    """The round(value * depth) layers of largest effect."""
    first = "first"
    """Baseline: the first round(value * depth) layers."""
    middle = "middle"
    """Baseline: as many layers in the middle."""
    last = "last"
    """Baseline: as many last layers."""
    random = "random"
    """Baseline: as many layers drawn at random."""
    gradient = "gradient"
    """Baseline: the round(value * depth) layers of largest gradient on the facts over that on retain facts."""
    fisher = "fisher"
    """The same with the empirical Fisher information instead of the gradient's norm."""


@dataclass
class TraceConfig:
    """Causal mediation analysis: corrupt the subject, patch one state, measure the answer."""

    mode: TraceMode = TraceMode.exact
    facts: int = at_least(1, 24)
    """Facts traced, at most; facts the model does not know are left out and counted."""
    split: TracedSplit = TracedSplit.forget
    wording: Wording = Wording.official
    corruption: Corruption = Corruption.noise
    direction: Direction = Direction.denoising
    noise_std: float = above(0, 3.0)
    """Noise in units of the standard deviation of embeddings."""
    noise_unit: NoiseUnit = NoiseUnit.prompts
    draws: int = at_least(1, 10)
    """Draws of noise for each fact; the other corruptions have one run for each fact."""
    base_model: str | None = None
    """Folder or repository id of the model before it memorised; null: model.retrained. For corruption=base_model and
    mode=weights, which mean something only where the traced model was fine-tuned from it."""
    kinds: list[ModuleKind] = some_of(
        ("layer", "mlp", "attention"), [ModuleKind.layer, ModuleKind.mlp, ModuleKind.attention]
    )
    """What is patched: the output of whole layers, of MLPs, of attention modules."""
    window: int = at_least(1, 1)
    """Neighbouring modules patched together for kinds mlp and attention; above 1 single modules are traced too."""
    severed: list[ModuleKind] = field(default_factory=list)
    """Some of mlp and attention: the layer's output is patched once more while these modules keep their unpatched
    output at the same positions, so that the patch can reach the answer only around them."""
    tokens: TracedTokens = TracedTokens.subject
    placebo: bool = True
    """Whether states of another person's question are patched too, which measures the effect of patching as such. This
    is not done for direction=noising, where such a patch is a corruption of its own, nor for mode=screen and
    mode=weights."""
    min_total_effect: float = 0.0
    """Nats a token. Facts whose total effect, what the corruption costs the answer, is no larger than this are left out
    and counted."""
    select: ModuleKind = ModuleKind.mlp
    """The kind of module whose effects choose the layers."""
    rule: SelectionRule = SelectionRule.confidence
    value: float = within("(0, 1]", 0.95)
    """The rule's number, a share."""
    memory_gib: float | None = above(0, None)
    """Memory that one forward pass may take, roughly; null: half the free memory of a GPU, or a quarter of a GiB on a
    CPU, where larger batches leave its caches and are slower."""
    seed: int = 0
    """Seed of the order of facts, of the noise and of replacements."""

    def check(self, key: str) -> None:
        """Raise InputError for kinds, windows and rules that do not go together."""
        exact, layer, kinds = self.mode is TraceMode.exact, ModuleKind.layer, list(map(str, self.kinds))
        single = f"1 for {key}.mode={self.mode}, which knows single modules alone"
        require(self.window == 1 or exact, f"{key}.window", self.window, single)
        require(self.select in self.kinds, f"{key}.select", self.select, f"one of {key}.kinds={kinds}")
        require(layer not in self.severed, f"{key}.severed", "layer", "mlp or attention")
        severed, unless = list(map(str, self.severed)), f"unless {key}.mode=exact and layer is among {key}.kinds"
        require(not severed or (exact and layer in self.kinds), f"{key}.severed", severed, f"[] {unless}")
        confidence = self.rule is SelectionRule.confidence
        require(not confidence or self.value < 1, f"{key}.value", self.value, "below 1, a confidence")

    @property
    def runs(self) -> int:
        """Return the number of corrupted runs of each fact."""
        return self.draws if self.corruption is Corruption.noise and self.mode is not TraceMode.weights else 1

    @property
    def with_placebo(self) -> bool:
        """Return whether a placebo is traced; any foreign states break a clean run, so that noising has no placebo."""
        return self.placebo and self.mode is TraceMode.exact and self.direction is Direction.denoising
