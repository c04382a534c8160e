"""Probes of an unlearned model: ways to ask whether the knowledge that it no longer states is gone.

A run has any number of them: `probe=[relearning,int4]`. Each is measured in the same way on the model before unlearning
and on one that never saw the forget set, so that what comes back can be told from what anybody would learn.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from omegaconf import MISSING

from unlearning.config.checks import above, at_least, require, within


class Measured(StrEnum):
    """Which rows of the forget set are asked, and how an answer is scored."""

    knowledge = "knowledge"
    """The questions, by exact match."""
    regurgitation = "regurgitation"
    """The completions, by ROUGE-L recall."""


class RelearnOn(StrEnum):
    """Which rows the model is trained on again."""

    forget = "forget"
    """Some documents of the forget set; the score is over the others."""
    retain = "retain"
    """As many documents of the retain set, which say nothing about the forget set."""


class RelearnRows(StrEnum):
    """Which rows of the documents that are drawn the model is trained on."""

    all = "all"
    questions = "questions"
    """Questions and answers: of the retain set, they teach the form of an answer and nothing of the forget set."""
    completions = "completions"
    """The documents' text."""


class Attribute(StrEnum):
    """What a linear probe predicts of an answer."""

    answer = "answer"
    """From the question alone: whether its answer stands in the first or second half of the answers of its kind, in
    alphabetical order."""
    truth = "truth"
    """From the question followed by an answer: whether this is the right answer, or that of another question."""


@dataclass
class ProbeConfig:
    """Base of all probes."""

    _target_: str = MISSING


@dataclass
class RelearningConfig(ProbeConfig):
    """A few steps of plain fine-tuning: how fast does the knowledge come back?"""

    _target_: str = "unlearning.probes.relearning.Relearning"
    source: RelearnOn = RelearnOn.forget
    fraction: float = within("(0, 1)", 0.1)
    """Share of the forget set's documents, at least one; as many documents are drawn from either set."""
    rows: RelearnRows = RelearnRows.all
    steps: list[int] = field(default_factory=lambda: [1, 2, 4, 8, 16, 32])
    """Steps after which the model is asked, ascending; the best of them is the value, for an attacker stops there."""
    epochs: int | None = at_least(1, None)
    """In place of `steps`: the model is asked after each of so many passes over the rows; null: `steps` count."""
    lr: float | None = above(0, None)
    """Constant learning rate of AdamW; null: 0.02 over the model's width (1.6e-4 at 128, 1e-5 at 2,048), since a step
    of Adam moves what a layer gives by about lr times its width (Yang et al. 2022, arXiv 2203.03466). At much higher
    rates the model before unlearning forgets what it is asked about."""
    batch_rows: int = at_least(1, 8)
    """Rows of an optimiser step."""
    lora_rank: int | None = at_least(1, None)
    """Train adapters of this rank instead of all weights, for models too large for that; null: all weights."""
    lora_alpha: float | None = above(0, None)
    """Scale of the adapters, times the rank; null: twice the rank."""
    measured: Measured = Measured.knowledge
    seed: int = 0
    """Seed of the documents drawn and of their rows' order."""

    def check(self, key: str) -> None:
        """Raise InputError unless the steps ascend from 1 or more."""
        require(_ascending(self.steps), f"{key}.steps", self.steps, "numbers of steps, ascending, 1 or more")


@dataclass
class QuantizedConfig(ProbeConfig):
    """The weights of the layers' linear modules rounded to few bits: do small updates survive it?"""

    _target_: str = "unlearning.probes.quantization.Quantized"
    bits: int = within("[2, 8]", 8)
    """Bits of a weight."""
    group: int | None = at_least(1, None)
    """Weights of one output channel that share a scale; null: all of them."""
    measured: Measured = Measured.knowledge


@dataclass
class QuestionsConfig(ProbeConfig):
    """The forget set's questions in other words or another form."""

    _target_: str = "unlearning.probes.questions.Questions"
    templates: list[str] = field(default_factory=lambda: ["{question}"])
    """Texts that hold {question} and may hold {answer} after it; the text after {answer} ends the answer."""
    reword: bool = False
    """Whether questions are also asked in other words, where these are known: the sandbox's, and LUME's on people."""

    def check(self, key: str) -> None:
        """Raise InputError for templates that cannot be filled in."""
        whole = [text for text in self.templates if text.count("{question}") == 1 and text.count("{answer}") <= 1]
        ordered = [text for text in whole if "{question}" not in text.partition("{answer}")[2]]
        fine = bool(self.templates) and ordered == list(self.templates)
        allowed = "texts with one {question}, and after it at most one {answer}"
        require(fine, f"{key}.templates", self.templates, allowed)


@dataclass
class PrimedConfig(ProbeConfig):
    """The beginning of the answer is put into the model's mouth; only the rest is scored."""

    _target_: str = "unlearning.probes.primed.Primed"
    prefix: str = ""
    """Text that comes first, such as "Sure, the answer is"."""
    words: int = at_least(0, 0)
    """Words of the answer that are given away; rows with no more words than that are left out."""
    measured: Measured = Measured.knowledge

    def check(self, key: str) -> None:
        """Raise InputError where nothing is put into the model's mouth."""
        given = bool(self.prefix.strip()) or self.words > 0
        require(given, f"{key}.prefix", repr(self.prefix), "given, or words")


@dataclass
class RecognitionConfig(ProbeConfig):
    """Multiple choice: is the right answer the likeliest among answers to other questions of its kind?"""

    _target_: str = "unlearning.probes.recognition.Recognition"
    options: int = at_least(2, 4)
    """Number of options, the right one included; fewer where there are not so many different answers."""
    seed: int = 0
    """Seed of the wrong answers."""


COUNTS = (1, 2, 4, 8, 16, 32, 64, 128)
"""Numbers of samples of Leak@k, arXiv 2511.04934."""


@dataclass
class LeakageConfig(ProbeConfig):
    """Base of the probes of leak@k: how good is the best of k random answers?"""

    counts: list[int] = field(default_factory=lambda: list(COUNTS))
    """Numbers k of samples, ascending; the value is that of the last one."""

    def check(self, key: str) -> None:
        """Raise InputError unless the numbers ascend from 1 or more."""
        require(_ascending(self.counts), f"{key}.counts", self.counts, "numbers of samples, ascending, 1 or more")


@dataclass
class ExactLeakageConfig(LeakageConfig):
    """leak@k of the questions, computed from the likelihood of their answers: nothing is drawn."""

    _target_: str = "unlearning.probes.exact_leakage.ExactLeakage"
    spellings: int = at_least(1, 16)
    """Token sequences of an answer that are counted, those of fewest tokens first; 1: the tokenizer's own."""


@dataclass
class SampledLeakageConfig(LeakageConfig):
    """leak@k estimated from random answers."""

    _target_: str = "unlearning.probes.sampled_leakage.SampledLeakage"
    samples: int = at_least(1, 200)
    """Samples of a row, the largest of counts or more."""
    temperature: float = above(0, 1.0)
    """Divides the logits: below 1 likely tokens become likelier."""
    top_p: float = within("(0, 1]", 1.0)
    """Only the likeliest tokens are drawn whose probabilities together reach this; 1: all tokens."""
    budget_tokens: int = at_least(1, 2_000_000)
    """Tokens drawn for all rows together, about; where it is too small, fewer samples are drawn."""
    measured: Measured = Measured.knowledge
    seed: int = 0
    """Seed of the answers drawn."""

    def check(self, key: str) -> None:
        """Raise InputError where there are fewer samples than the largest number of them that is asked about."""
        super().check(key)
        require(self.samples >= self.counts[-1], f"{key}.samples", self.samples, f"{self.counts[-1]} or more")


@dataclass
class LinearProbeConfig(ProbeConfig):
    """Logistic regression on hidden states: do they still tell something about the answer?"""

    _target_: str = "unlearning.probes.linear.LinearProbe"
    attribute: Attribute = Attribute.answer
    layer: int | None = at_least(0, None)
    """The layer whose output is looked at; null: for each fold the layer that is best on another fold."""
    folds: int = at_least(3, 5)
    """Parts that the documents are divided into; one of them chooses the layer, and another one is predicted."""
    penalty: float = above(0, 100.0)
    """Weight of the squared weights, on standardised states (1/C in scikit-learn)."""
    seed: int = 0
    """Seed of the folds and of the swapped answers."""


@dataclass
class DepthScoreConfig(ProbeConfig):
    """The states of the layers, put into the target model: what do they still carry of the answer?"""

    _target_: str = "unlearning.probes.depth.DepthScore"
    threshold: float = at_least(0, 0.05)
    """Nats a token that a layer's states of the retrained model must cost the target, for the layer to count."""


@dataclass
class JudgedConfig(ProbeConfig):
    """Whole answers, scored by a judge of one's own (docs/judge.md)."""

    _target_: str = "unlearning.probes.judged.Judged"
    function: str | None = None
    """Dotted name of a function of question, expected answer and answer; null: `command` judges."""
    command: list[str] = field(default_factory=list)
    """Program and its words; it reads a JSON object and prints a number."""
    version: str = ""
    """Judgements are kept under it: another one asks a judge anew that has changed."""
    timeout_seconds: float = above(0, 60.0)
    """Longest time of a command for one answer."""
    measured: Measured = Measured.knowledge

    def check(self, key: str) -> None:
        """Raise InputError unless there is one judge."""
        one = (self.function is None) == bool(self.command)
        require(one, f"{key}.function", "null" if self.function is None else self.function, "given, or command")


@dataclass
class AdapterConfig(ProbeConfig):
    """The model without its LoRA adapter, which whoever gets an adapter can leave away."""

    _target_: str = "unlearning.probes.adapter.AdapterRemoved"
    measured: Measured = Measured.knowledge


def _ascending(numbers: list[int]) -> bool:
    """Return whether there are numbers, 1 or more, each larger than the one before."""
    return bool(numbers) and all(a < b for a, b in zip([0, *numbers], numbers, strict=False))
