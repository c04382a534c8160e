"""Probes of an unlearned model: ways to ask whether what it no longer says is gone.

A run has any number of them: `probe=[relearning,int4]`. Each is measured in the same way on the model before unlearning
and on one that never saw the forget set, so that what comes back can be told from what anybody would learn.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from omegaconf import MISSING

from unlearning.config.checks import require


class Measured(StrEnum):
    """What of the forget set is asked for, and how an answer is scored."""

    knowledge = "knowledge"
    """Its questions, by exact match."""
    regurgitation = "regurgitation"
    """Its completions, by ROUGE-L recall."""


class RelearnOn(StrEnum):
    """Which rows the model is trained on again."""

    forget = "forget"
    """Some documents of the forget set; the value is over the others."""
    retain = "retain"
    """As many documents of the retain set, which say nothing of those to be forgotten."""


class Attribute(StrEnum):
    """What a linear probe is to tell of an answer."""

    answer = "answer"
    """From the question alone: in which half of the answers of its kind, in alphabetical order, its answer stands."""
    truth = "truth"
    """From the question with an answer behind it: whether this is the right one, or another one's."""


@dataclass
class ProbeConfig:
    """Base of all probes."""

    _target_: str = MISSING


@dataclass
class RelearningConfig(ProbeConfig):
    """A few steps of plain fine-tuning: how fast does it come back?"""

    _target_: str = "unlearning.probes.relearning.Relearning"
    source: RelearnOn = RelearnOn.forget
    fraction: float = 0.1
    """Share of the forget set's documents, in (0, 1), at least one; their number is what is drawn of either set."""
    steps: list[int] = field(default_factory=lambda: [1, 2, 4, 8, 16, 32])
    """Steps after which the model is asked, ascending; the best of them is the value, for an attacker stops there."""
    lr: float | None = None
    """Of AdamW, constant; null: 0.02 over the model's width (1.6e-4 at 128, 1e-5 at 2,048), since a step of Adam moves
    what a layer gives by about lr times its width (Yang et al. 2022, arXiv 2203.03466). At much higher rates the model
    before unlearning forgets what it is asked about."""
    batch_rows: int = 8
    lora_rank: int | None = None
    """Train adapters of this rank instead of all weights, for models too large for that; null: all weights."""
    measured: Measured = Measured.knowledge
    seed: int = 0
    """Of the documents drawn and their rows' order."""

    def __post_init__(self) -> None:
        ascending = all(a < b for a, b in zip(self.steps, self.steps[1:], strict=False))
        require(0 < self.fraction < 1, "probes.*.fraction", self.fraction, "in (0, 1)")
        require(
            bool(self.steps) and self.steps[0] >= 1 and ascending,
            "probes.*.steps",
            self.steps,
            "numbers of steps, ascending, 1 or more",
        )
        require(self.lr is None or self.lr > 0, "probes.*.lr", self.lr, "above 0, or null")
        require(self.batch_rows >= 1, "probes.*.batch_rows", self.batch_rows, "1 or more")
        rank = self.lora_rank
        require(rank is None or rank >= 1, "probes.*.lora_rank", rank, "1 or more, or null")


@dataclass
class QuantizedConfig(ProbeConfig):
    """Weights of the layers' linear modules rounded to few bits: what do small updates survive?"""

    _target_: str = "unlearning.probes.quantization.Quantized"
    bits: int = 8
    group: int | None = None
    """Weights of one output channel that share a scale; null: all of them."""
    measured: Measured = Measured.knowledge

    def __post_init__(self) -> None:
        require(2 <= self.bits <= 8, "probes.*.bits", self.bits, "2 to 8")
        require(self.group is None or self.group >= 1, "probes.*.group", self.group, "1 or more, or null")


@dataclass
class QuestionsConfig(ProbeConfig):
    """The forget set's questions in other words or another form."""

    _target_: str = "unlearning.probes.questions.Questions"
    templates: list[str] = field(default_factory=lambda: ["{question}"])
    """Each holds {question}, and may hold {answer}, where the answer goes: what stands after it ends the answer."""
    reword: bool = False
    """Ask in other words too, where they are known: the sandbox's questions, and LUME's about people."""

    def __post_init__(self) -> None:
        whole = [text for text in self.templates if text.count("{question}") == 1 and text.count("{answer}") <= 1]
        ordered = [text for text in whole if "{question}" not in text.partition("{answer}")[2]]
        require(
            bool(self.templates) and ordered == list(self.templates),
            "probes.*.templates",
            self.templates,
            "texts with one {question}, and after it at most one {answer}",
        )


@dataclass
class PrimedConfig(ProbeConfig):
    """The beginning of the answer is put into the model's mouth; only the rest is scored."""

    _target_: str = "unlearning.probes.primed.Primed"
    prefix: str = ""
    """Comes first, such as "Sure, the answer is"."""
    words: int = 0
    """Words of the answer that are given away; rows with no more words than that are left out."""
    measured: Measured = Measured.knowledge

    def __post_init__(self) -> None:
        require(self.words >= 0, "probes.*.words", self.words, "0 or more")
        require(bool(self.prefix.strip()) or self.words > 0, "probes.*.prefix", repr(self.prefix), "given, or words")


@dataclass
class RecognitionConfig(ProbeConfig):
    """Multiple choice: is the right answer the likeliest among answers to other questions of its kind?"""

    _target_: str = "unlearning.probes.recognition.Recognition"
    options: int = 4
    """The right one included; fewer where there are not so many different answers."""
    seed: int = 0
    """Of the distractors."""

    def __post_init__(self) -> None:
        require(self.options >= 2, "probes.*.options", self.options, "2 or more")


@dataclass
class LinearProbeConfig(ProbeConfig):
    """Logistic regression on hidden states: do they still tell something of the answer?"""

    _target_: str = "unlearning.probes.linear.LinearProbe"
    attribute: Attribute = Attribute.answer
    layer: int | None = None
    """Whose output is looked at; null: for each fold the one that is best on another one."""
    folds: int = 5
    """Of the documents; 3 or more, since one fold chooses the layer and another one is predicted."""
    penalty: float = 100.0
    """Of the squared weights, on standardised states (1/C in scikit-learn)."""
    seed: int = 0
    """Of folds and swapped answers."""

    def __post_init__(self) -> None:
        require(self.layer is None or self.layer >= 0, "probes.*.layer", self.layer, "0 or more, or null")
        require(self.folds >= 3, "probes.*.folds", self.folds, "3 or more")
        require(self.penalty > 0, "probes.*.penalty", self.penalty, "above 0")


@dataclass
class AdapterConfig(ProbeConfig):
    """What a release as a LoRA adapter reveals to whoever leaves it away."""

    _target_: str = "unlearning.probes.adapter.AdapterRemoved"
    measured: Measured = Measured.knowledge
