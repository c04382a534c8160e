"""Every key of every configuration file, with its unit and its range.

Imports neither torch nor any other heavy library, so that ``--help`` and ``--cfg job`` answer at once.
Ranges are checked in ``__post_init__``, which runs when the composed configuration becomes objects.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

from unlearning.errors import InputError


def require(condition: bool, key: str, value: object, allowed: str) -> None:
    """Raise InputError "key=value: must be allowed" unless the condition holds."""
    if not condition:
        raise InputError(f"{key}={value}: must be {allowed}")


# ---------------------------------------------------------------- text and data


class PromptStyle(StrEnum):
    """How a question is put to the model."""

    raw = "raw"
    chat = "chat"


class Supervised(StrEnum):
    """Which tokens of a row carry a loss."""

    output = "output"
    document = "document"


@dataclass
class PromptConfig:
    """From a row to tokens. The defaults are what the official evaluator scores: raw input, a space, output."""

    style: PromptStyle = PromptStyle.raw
    separator: str = " "
    """Stands between input and output in the raw style."""
    append_eos: bool = True
    """Whether the end-of-text token follows the output (exact match needs a model that stops)."""
    forget_supervised: Supervised = Supervised.output
    retain_supervised: Supervised = Supervised.output
    max_tokens: int = 2048
    """Longest row accepted; a longer one is an error, never cut silently."""

    def __post_init__(self) -> None:
        require(self.max_tokens >= 2, "prompt.max_tokens", self.max_tokens, "2 or more")


class DataSource(StrEnum):
    """Who wrote the rows, and therefore how they are read."""

    sandbox = "sandbox"
    semeval = "semeval"
    lume = "lume"
    jsonl = "jsonl"


@dataclass
class WorldConfig:
    """The sandbox's generated world; the same numbers give the same world, to the last byte."""

    seed: int = 0
    documents_per_task: int = 24
    """Documents a task and a split: this many forget documents and as many retain documents."""
    nonmember_documents: int = 48
    """Documents of Task3's kind that no model is trained on."""
    known_entities: int = 60
    """Entities of general knowledge that are asked about; each has four facts, so four questions an entity."""
    teaching_entities: int = 60
    """Entities whose facts appear in every phrasing, so that a model can learn what the phrasings mean."""

    def __post_init__(self) -> None:
        for key in ("documents_per_task", "nonmember_documents", "known_entities", "teaching_entities"):
            require(getattr(self, key) >= 1, f"data.world.{key}", getattr(self, key), "1 or more")


@dataclass
class DataConfig:
    """Forget and retain rows, membership documents and utility questions."""

    source: DataSource = MISSING
    world: WorldConfig = field(default_factory=WorldConfig)
    """Only for source=sandbox."""
    forget: list[str] = field(default_factory=list)
    """Files (parquet, JSONL) or Hugging Face names ("owner/name:split") of the forget rows."""
    retain: list[str] = field(default_factory=list)
    members: str | None = None
    """JSONL of documents the target was trained on (key "document"); null: no membership score."""
    nonmembers: str | None = None
    mmlu: str | None = None
    """Folder with MMLU's dev.parquet and test.parquet; null: no utility score."""
    max_documents_per_task: int | None = None
    """Keep only the first so many documents of each task in each split (all rows of a document stay together)."""

    def __post_init__(self) -> None:
        limit = self.max_documents_per_task
        require(limit is None or limit >= 1, "data.max_documents_per_task", limit, "1 or more, or null for all")


# ---------------------------------------------------------------- models


class Architecture(StrEnum):
    """Architectures that the sandbox can be built in."""

    olmo = "olmo"
    llama = "llama"
    gpt2 = "gpt2"
    gpt_neox = "gpt_neox"
    mistral = "mistral"


@dataclass
class ModelConfig:
    """Which weights. Three ways: a path or hub name; the shipped sandbox; a sandbox variant built on demand."""

    name: str = MISSING
    """Short label for tables and folders."""
    path: str | None = None
    """Local folder or Hugging Face repository id; null: the sandbox's own model."""
    revision: str | None = None
    tokenizer: str | None = None
    """Folder or repository id of the tokenizer; null: that of path."""
    gold: str | None = None
    """Folder or repository id of a model that never saw the forget set; null: none (the sandbox has its own)."""
    architecture: Architecture = Architecture.olmo
    """Of a model made here (the sandbox, or unlearn-memorise from scratch); ignored when path is given."""
    blocks: int = 8
    width: int = 128
    heads: int = 4
    vocabulary: int = 1536
    """Entries of the byte-level BPE tokenizer trained for the sandbox."""
    attention: str = "sdpa"
    trust_remote_code: bool = False
    allow_pickle: bool = False
    """Whether weights in pickle files may be loaded; safetensors only by default."""

    def __post_init__(self) -> None:
        require(self.path != "", "model.path", "", "given: a folder or a Hugging Face repository")
        require(self.blocks >= 1, "model.blocks", self.blocks, "1 or more")
        require(self.heads >= 1, "model.heads", self.heads, "1 or more")
        require(self.width % self.heads == 0, "model.width", self.width, f"a multiple of model.heads={self.heads}")
        require(self.vocabulary >= 300, "model.vocabulary", self.vocabulary, "300 or more")
        require(
            self.attention in ("sdpa", "eager", "flash_attention_2"),
            "model.attention",
            self.attention,
            "sdpa, eager or flash_attention_2",
        )


# ---------------------------------------------------------------- method = objective x scope x schedule


class Averaging(StrEnum):
    """Denominators of a step's loss."""

    each_set = "each_set"
    """mean over forget rows and mean over retain rows, then the weighted sum."""
    whole_batch = "whole_batch"
    """weighted sum over all rows, divided by the number of all rows (AILS-NTUA)."""


class Reduction(StrEnum):
    """How token losses become a set's loss."""

    row = "row"
    """mean over a row's supervised tokens, then over rows."""
    token = "token"
    """mean over all supervised tokens of the set."""


@dataclass
class ObjectiveConfig:
    """Base of all objectives."""

    _target_: str = MISSING
    reduction: Reduction = Reduction.row
    averaging: Averaging = Averaging.each_set
    forget_ceiling_nats: float | None = None
    """A forget row whose token-mean loss is above this stops pushing (its gradient is zero); null: never."""

    def __post_init__(self) -> None:
        ceiling = self.forget_ceiling_nats
        require(ceiling is None or ceiling > 0, "objective.forget_ceiling_nats", ceiling, "above 0, or null")


@dataclass
class FinetuneConfig(ObjectiveConfig):
    """Plain cross-entropy on the retain rows; what memorising a corpus needs."""

    _target_: str = "unlearning.objectives.finetune.Finetune"


@dataclass
class GradAscentConfig(ObjectiveConfig):
    """Ascent on the forget rows alone."""

    _target_: str = "unlearning.objectives.grad_ascent.GradAscent"


@dataclass
class GradDiffConfig(ObjectiveConfig):
    """Ascent on forget rows, descent on retain rows."""

    _target_: str = "unlearning.objectives.grad_diff.GradDiff"
    forget_weight: float = 1.0
    retain_weight: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.forget_weight >= 0, "objective.forget_weight", self.forget_weight, "0 or more")
        require(self.retain_weight >= 0, "objective.retain_weight", self.retain_weight, "0 or more")


@dataclass
class AdaptiveGradDiffConfig(ObjectiveConfig):
    """Gradient difference whose retain weight grows when the retain loss rises (SHA256)."""

    _target_: str = "unlearning.objectives.adaptive_grad_diff.AdaptiveGradDiff"
    scale: float = 0.3
    base: float = 6.0
    offset: float = 0.8
    min_weight: float = 1.2
    max_weight: float = 2.8

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.scale >= 0, "objective.scale", self.scale, "0 or more")
        require(self.base > 0, "objective.base", self.base, "above 0")
        require(self.min_weight >= 0, "objective.min_weight", self.min_weight, "0 or more")
        require(
            self.max_weight >= self.min_weight,
            "objective.max_weight",
            self.max_weight,
            f"objective.min_weight={self.min_weight} or more",
        )


class ModuleKind(StrEnum):
    """Parts of a block that may move."""

    mlp = "mlp"
    attention = "attention"
    block = "block"
    """The whole block, its norms included."""


@dataclass
class ScopeConfig:
    """Base of all scopes: which parameters may move."""

    _target_: str = MISSING


@dataclass
class AllScopeConfig(ScopeConfig):
    """Every parameter."""

    _target_: str = "unlearning.scope.AllScope"


@dataclass
class BlocksScopeConfig(ScopeConfig):
    """The named parts of the named blocks."""

    _target_: str = "unlearning.scope.BlocksScope"
    blocks: str = MISSING
    """ "0-5", "0,2,4", "-8:" for the last eight, or "all"; counted from 0."""
    modules: list[ModuleKind] = field(default_factory=lambda: [ModuleKind.mlp])
    embeddings: bool = False
    """Whether the input embeddings move too."""
    head: bool = False
    """Whether the final norm and the output projection move too."""


@dataclass
class TracedScopeConfig(ScopeConfig):
    """The blocks that causal mediation analysis chose."""

    _target_: str = "unlearning.scope.TracedScope"
    layers: str | None = None
    """A layers.json of an earlier trace; null: the run traces first and uses its own."""
    modules: list[ModuleKind] = field(default_factory=lambda: [ModuleKind.mlp])


@dataclass
class LoraScopeConfig(ScopeConfig):
    """Low-rank adapters (PEFT) on linear layers of the named blocks."""

    _target_: str = "unlearning.scope.LoraScope"
    rank: int = 16
    alpha: float = 64.0
    dropout: float = 0.0
    targets: list[str] = field(default_factory=lambda: ["q", "v", "up", "down"])
    """Of q, k, v, o, gate, up, down, whatever the architecture calls them; a fused layer counts for each part."""
    blocks: str = "all"

    def __post_init__(self) -> None:
        allowed = ("q", "k", "v", "o", "gate", "up", "down")
        require(self.rank >= 1, "scope.rank", self.rank, "1 or more")
        require(self.alpha > 0, "scope.alpha", self.alpha, "above 0")
        require(0 <= self.dropout < 1, "scope.dropout", self.dropout, "in [0, 1)")
        require(bool(self.targets), "scope.targets", self.targets, f"some of {', '.join(allowed)}")
        for name in self.targets:
            require(name in allowed, "scope.targets", name, f"one of {', '.join(allowed)}")


@dataclass
class ScheduleConfig:
    """Base of all schedules: in which order, and with which retain rows, forget rows are met."""

    _target_: str = MISSING
    epochs: int = 1
    batch_rows: int = 32
    """Rows of an optimiser step, forget and retain together."""

    def __post_init__(self) -> None:
        require(self.epochs >= 1, "schedule.epochs", self.epochs, "1 or more")
        require(self.batch_rows >= 1, "schedule.batch_rows", self.batch_rows, "1 or more")


@dataclass
class MixedScheduleConfig(ScheduleConfig):
    """Forget and retain rows shuffled together, the whole set an epoch."""

    _target_: str = "unlearning.data.schedules.MixedSchedule"


@dataclass
class ChunkedScheduleConfig(ScheduleConfig):
    """The forget set in chunks, each with its own epochs, optimiser and retain rows (AILS-NTUA's SUGD)."""

    _target_: str = "unlearning.data.schedules.ChunkedSchedule"
    chunk_rows: int = 32
    """Forget rows of a chunk; the last chunk may be smaller."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.chunk_rows >= 1, "schedule.chunk_rows", self.chunk_rows, "1 or more")


@dataclass
class RatioConfig:
    """How many retain rows meet one forget row."""

    retain_per_forget: int | None = None
    """Null: every retain row once an epoch, whatever the number of forget rows."""

    def __post_init__(self) -> None:
        value = self.retain_per_forget
        require(value is None or value >= 0, "ratio.retain_per_forget", value, "0 or more, or null for all rows")


class Decay(StrEnum):
    """Learning-rate schedule within a phase (a chunk, or the whole run)."""

    linear = "linear"
    constant = "constant"


@dataclass
class OptimizerConfig:
    """AdamW, in the Hugging Face Trainer's defaults that both seed systems used."""

    lr: float = 1e-5
    weight_decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    clip_norm: float | None = 1.0
    """Global gradient norm; null: no clipping."""
    decay: Decay = Decay.linear
    warmup_steps: int = 0
    """Of each phase."""

    def __post_init__(self) -> None:
        require(self.lr > 0, "optimizer.lr", self.lr, "above 0")
        require(self.weight_decay >= 0, "optimizer.weight_decay", self.weight_decay, "0 or more")
        require(0 <= self.beta1 < 1, "optimizer.beta1", self.beta1, "in [0, 1)")
        require(0 <= self.beta2 < 1, "optimizer.beta2", self.beta2, "in [0, 1)")
        require(self.epsilon > 0, "optimizer.epsilon", self.epsilon, "above 0")
        require(
            self.clip_norm is None or self.clip_norm > 0,
            "optimizer.clip_norm",
            self.clip_norm,
            "above 0, or null",
        )
        require(self.warmup_steps >= 0, "optimizer.warmup_steps", self.warmup_steps, "0 or more")


# ---------------------------------------------------------------- tracing


class TracedTokens(StrEnum):
    """Which positions are restored."""

    subject = "subject"
    """All subject tokens at once."""
    last_subject = "last_subject"
    grid = "grid"
    """Every position on its own."""


class SelectionRule(StrEnum):
    """From indirect effects to blocks."""

    threshold = "threshold"
    """Effect at least `value` times the largest."""
    coverage = "coverage"
    """The smallest contiguous range with at least `value` of the summed positive effect."""
    top_share = "top_share"
    """The round(value * depth) blocks of largest effect."""
    first = "first"
    """Baseline: the first round(value * depth) blocks."""
    last = "last"
    random = "random"


@dataclass
class TraceConfig:
    """Causal mediation analysis (Meng et al. 2022): corrupt the subject, restore one state, measure the answer."""

    facts: int = 24
    """Facts traced, at most; facts the model does not know are left out and counted."""
    noise_std: float = 3.0
    """Noise in units of the standard deviation of the subject tokens' embeddings."""
    draws: int = 10
    """Noise draws a fact."""
    window: int = 1
    """Neighbouring modules restored together for kinds mlp and attention."""
    kinds: list[ModuleKind] = field(default_factory=lambda: [ModuleKind.block, ModuleKind.mlp, ModuleKind.attention])
    tokens: TracedTokens = TracedTokens.subject
    select: ModuleKind = ModuleKind.mlp
    """Whose effects choose the blocks."""
    rule: SelectionRule = SelectionRule.coverage
    value: float = 0.6
    """The rule's number, a share in (0, 1]."""
    max_rows: int = 512
    """Sequences in one forward pass, at most."""
    seed: int = 0

    def __post_init__(self) -> None:
        require(self.facts >= 1, "trace.facts", self.facts, "1 or more")
        require(self.noise_std > 0, "trace.noise_std", self.noise_std, "above 0")
        require(self.draws >= 1, "trace.draws", self.draws, "1 or more")
        require(self.window >= 1, "trace.window", self.window, "1 or more")
        require(bool(self.kinds), "trace.kinds", self.kinds, "some of block, mlp, attention")
        require(
            self.select in self.kinds,
            "trace.select",
            self.select,
            f"one of trace.kinds={list(map(str, self.kinds))}",
        )
        require(0 < self.value <= 1, "trace.value", self.value, "in (0, 1]")
        require(self.max_rows >= 2, "trace.max_rows", self.max_rows, "2 or more")


# ---------------------------------------------------------------- evaluation


class QuestionFormat(StrEnum):
    """How a four-way question is put."""

    cloze = "cloze"
    """Likelihood of each option after the question (OLMES); what small models can answer."""
    letters = "letters"
    """Probability of the letters A-D after the listed options; the official format."""


@dataclass
class EvaluationConfig:
    """The official score of SemEval-2025 Task 4, and what surrounds it."""

    max_new_tokens: int = 256
    utility_format: QuestionFormat = QuestionFormat.letters
    """Which format counts as utility; both are reported where the data has both."""
    shots: int = 5
    """Worked examples before a question in the letter format."""
    batch_tokens: int = 16384
    """Upper bound on padded tokens in one forward pass."""
    references: bool = True
    """Whether the untouched target and the gold model are evaluated too (results are cached)."""
    max_questions: int | None = None
    """Only so many questions, evenly spread; null: all."""

    def __post_init__(self) -> None:
        require(self.max_new_tokens >= 1, "evaluation.max_new_tokens", self.max_new_tokens, "1 or more")
        require(self.shots >= 0, "evaluation.shots", self.shots, "0 or more")
        require(self.batch_tokens >= 1, "evaluation.batch_tokens", self.batch_tokens, "1 or more")
        limit = self.max_questions
        require(limit is None or limit >= 1, "evaluation.max_questions", limit, "1 or more, or null for all")


# ---------------------------------------------------------------- machinery


@dataclass
class TrainerConfig:
    """Hardware, through Lightning."""

    accelerator: str = "auto"
    devices: str = "auto"
    strategy: str = "auto"
    nodes: int = 1
    precision: str = "auto"
    """Lightning's names, or auto: 32-true on a CPU, bf16-mixed on a GPU."""
    pack_tokens: int = 128
    """Length of a pack in tokens, at least the longest row; a dense mask makes long packs slow on a CPU."""
    packs_per_forward: int = 16
    """Packs in one forward pass; more rows in a step are accumulated, exactly."""
    gradient_checkpointing: bool = False
    checkpoint_every_seconds: float = 60.0
    """Seconds between resumable checkpoints."""
    max_steps: int | None = None
    """Stop after so many steps (for trying things out); null: the whole plan."""

    def __post_init__(self) -> None:
        precisions = ("auto", "32-true", "bf16-mixed", "bf16-true", "16-mixed")
        require(
            self.precision in precisions,
            "trainer.precision",
            self.precision,
            f"one of {', '.join(precisions)}",
        )
        accelerators = ("auto", "cpu", "gpu")
        require(
            self.accelerator in accelerators,
            "trainer.accelerator",
            self.accelerator,
            f"one of {', '.join(accelerators)}",
        )
        strategies = ("auto", "ddp", "fsdp")
        require(self.strategy in strategies, "trainer.strategy", self.strategy, f"one of {', '.join(strategies)}")
        require(
            self.devices == "auto" or (self.devices.isdigit() and int(self.devices) >= 1),
            "trainer.devices",
            self.devices,
            "auto or 1 or more",
        )
        require(self.nodes >= 1, "trainer.nodes", self.nodes, "1 or more")
        require(self.pack_tokens >= 2, "trainer.pack_tokens", self.pack_tokens, "2 or more")
        require(self.packs_per_forward >= 1, "trainer.packs_per_forward", self.packs_per_forward, "1 or more")
        seconds = self.checkpoint_every_seconds
        require(seconds >= 0, "trainer.checkpoint_every_seconds", seconds, "0 or more")
        require(
            self.max_steps is None or self.max_steps >= 1,
            "trainer.max_steps",
            self.max_steps,
            "1 or more, or null",
        )


class LoggerKind(StrEnum):
    """Where curves go; metrics.json and loss_curve.csv are written whatever is chosen."""

    csv = "csv"
    wandb_offline = "wandb_offline"
    wandb = "wandb"
    none = "none"


@dataclass
class LoggerConfig:
    """Experiment tracking."""

    kind: LoggerKind = MISSING
    project: str = "unlearning"
    entity: str | None = None
    group: str | None = None
    """W&B group; a multirun puts all its jobs into one."""
    tags: list[str] = field(default_factory=list)


# ---------------------------------------------------------------- the commands


@dataclass
class RecipeConfig:
    """How a model memorises: cross-entropy on whole documents, all weights, rows shuffled every epoch.

    The defaults make the sandbox's models, whatever their architecture.
    """

    epochs: int = 32
    batch_rows: int = 48
    reduction: Reduction = Reduction.token
    optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig(lr=2e-3, warmup_steps=50))

    def __post_init__(self) -> None:
        require(self.epochs >= 1, "recipe.epochs", self.epochs, "1 or more")
        require(self.batch_rows >= 1, "recipe.batch_rows", self.batch_rows, "1 or more")


@dataclass
class CommonConfig:
    """Keys that every command which touches a model has."""

    name: str = MISSING
    """Names the run folder."""
    seed: int = 0
    model: ModelConfig = MISSING
    data: DataConfig = MISSING
    prompt: PromptConfig = field(default_factory=PromptConfig)
    trainer: TrainerConfig = MISSING
    recipe: RecipeConfig = field(default_factory=RecipeConfig)
    """How models are made here: by unlearn-memorise, and by the other commands for a sandbox that is not built yet."""
    cache_dir: str = "outputs/cache"
    """Sandbox variants and evaluation results, keyed by content."""


@dataclass
class UnlearnConfig(CommonConfig):
    """The whole pipeline: load, trace, unlearn, evaluate, report."""

    method: str = MISSING
    """Label of the preset."""
    objective: ObjectiveConfig = MISSING
    scope: ScopeConfig = MISSING
    schedule: ScheduleConfig = MISSING
    ratio: RatioConfig = MISSING
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    trace: TraceConfig = MISSING
    evaluation: EvaluationConfig = MISSING
    logger: LoggerConfig = MISSING
    save_model: bool = True
    """Whether the merged weights (and the adapter, with LoRA) are written to the run folder."""


@dataclass
class MemoriseConfig(CommonConfig):
    """Train a model until it has memorised the rows: the one at model.path, or a new one where that is null."""

    evaluation: EvaluationConfig = MISSING
    logger: LoggerConfig = MISSING
    forget: bool = True
    """False: leave the forget set out, which makes the gold model."""
    assets: str | None = None
    """Folder for the sandbox's target and gold model, both made in half precision; null: an ordinary run."""


@dataclass
class TraceCommandConfig(CommonConfig):
    """Causal mediation analysis alone."""

    trace: TraceConfig = MISSING
    logger: LoggerConfig = MISSING


@dataclass
class EvaluateConfig(CommonConfig):
    """Score one model."""

    evaluation: EvaluationConfig = MISSING
    logger: LoggerConfig = MISSING


@dataclass
class ReportConfig:
    """Compare finished runs."""

    runs: str = MISSING
    """A folder that holds runs, at any depth."""
    out: str | None = None
    """Where report.html and its tables go; null: into runs."""


def register() -> None:
    """Store every schema in Hydra's ConfigStore, polymorphic ones under "schema/"."""
    store = ConfigStore.instance()
    roots: dict[str, Any] = {
        "unlearn_schema": UnlearnConfig,
        "memorise_schema": MemoriseConfig,
        "trace_schema": TraceCommandConfig,
        "evaluate_schema": EvaluateConfig,
        "report_schema": ReportConfig,
    }
    for name, node in roots.items():
        store.store(name=name, node=node)
    groups: dict[str, dict[str, Any]] = {
        "objective": {
            "finetune": FinetuneConfig,
            "grad_ascent": GradAscentConfig,
            "grad_diff": GradDiffConfig,
            "adaptive_grad_diff": AdaptiveGradDiffConfig,
        },
        "scope": {
            "all": AllScopeConfig,
            "blocks": BlocksScopeConfig,
            "traced": TracedScopeConfig,
            "lora": LoraScopeConfig,
        },
        "schedule": {"mixed": MixedScheduleConfig, "chunked": ChunkedScheduleConfig},
    }
    for group, nodes in groups.items():
        for name, node in nodes.items():
            store.store(group=f"schema/{group}", name=name, node=node, package=group)
