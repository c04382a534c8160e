"""Choices that make no sense together are refused in one line with the reason; similar choices are accepted."""

from dataclasses import replace
from typing import Any

import pytest

from unlearning.config.commands import (
    EvaluateConfig,
    MemoriseConfig,
    MergeConfig,
    ProbeCommandConfig,
    TraceCommandConfig,
    UnlearnConfig,
)
from unlearning.config.compatibility import lowest_layer, require_layer_in_reach
from unlearning.config.data import DataConfig, JsonlDataConfig
from unlearning.config.evaluation import EvaluationConfig, Precision
from unlearning.config.logger import LoggerConfig, LoggerKind
from unlearning.config.model import ModelConfig, Quantization
from unlearning.config.noised_start import NoisedStartConfig
from unlearning.config.objective import (
    AdaptiveGradDiffConfig,
    DPOConfig,
    FinetuneConfig,
    GradDiffConfig,
    NPOConfig,
    RelabelConfig,
    RMUConfig,
    UnDIALConfig,
)
from unlearning.config.objective_choices import AboveCeiling, Answers
from unlearning.config.optimizer import ForgettingOptimizerConfig
from unlearning.config.probe import AdapterConfig
from unlearning.config.prompt import PromptConfig, PromptStyle, Supervised
from unlearning.config.ratio import RatioConfig
from unlearning.config.repselect import RepSelectConfig
from unlearning.config.schedule import AlternatingScheduleConfig, MixedScheduleConfig
from unlearning.config.scope import AllScopeConfig, LayersScopeConfig, LoraScopeConfig, ModuleKind, TracedScopeConfig
from unlearning.config.settings import check_settings
from unlearning.config.stopping import StoppingConfig
from unlearning.config.trace import TraceConfig
from unlearning.config.trainer import TrainerConfig
from unlearning.errors import InputError

GRAD_DIFF = GradDiffConfig()
ASCENT = GradDiffConfig(retain_weight=0.0)
FINETUNE = FinetuneConfig()
RMU = RMUConfig(layer=3)
ALTERNATING = AlternatingScheduleConfig()
LEARN = RelabelConfig(answers=Answers.own, retain_weight=0.0)
INVENTED, CHAT = DPOConfig(answers=Answers.own_and_invented), PromptConfig(style=PromptStyle.chat)
LORA, DORA = LoraScopeConfig(), LoraScopeConfig(dora=True)
DOCUMENT = PromptConfig(forget_supervised=Supervised.document)
NF4 = ModelConfig(name="local", path="owner/name", quantization=Quantization.nf4)
FSDP = TrainerConfig(accelerator="gpu", strategy="fsdp")
CPU = TrainerConfig(accelerator="cpu")
CHECKS = StoppingConfig(check_every_steps=10)
FOLLOWS = GradDiffConfig(ceiling_follows_unseen=True, above_ceiling=AboveCeiling.turn)
UNSEEN = JsonlDataConfig(forget=["f"], retain=["r"], unseen=["u"])
UPHILL, NOISE, REPSELECT = ForgettingOptimizerConfig(sam_radius=0.01), NoisedStartConfig(0.5), RepSelectConfig()


def layers(text: str, *modules: ModuleKind, **changes: bool) -> LayersScopeConfig:
    """Return the scope of the named layers' MLPs, unless other parts are given."""
    return LayersScopeConfig(layers=text, modules=list(modules or [ModuleKind.mlp]), **changes)


def head_only(**changes: bool) -> LayersScopeConfig:
    """Return a scope in which no part of any layer moves."""
    return LayersScopeConfig(layers="all", modules=[], head=True, **changes)


def ratio(retain_per_forget: int | None) -> RatioConfig:
    """Return settings with so many retain rows for one forget row."""
    return RatioConfig(retain_per_forget=retain_per_forget)


def made(**parts: Any) -> UnlearnConfig:
    """Return settings: gradient difference on all weights, mixed, unless something else is given."""
    given = {
        "name": "run",
        "method": "some",
        "model": ModelConfig(name="sandbox"),
        "data": DataConfig(),
        "objective": GRAD_DIFF,
        "scope": AllScopeConfig(),
        "schedule": MixedScheduleConfig(),
        "ratio": ratio(None),
        "trainer": TrainerConfig(),
        "trace": TraceConfig(),
        "evaluation": EvaluationConfig(),
        "logger": LoggerConfig(kind=LoggerKind.none),
    }
    return UnlearnConfig(**{**given, **parts})


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("nothing to minimise", {"objective": GradDiffConfig(forget_weight=0.0, retain_weight=0.0)}, "weights are"),
    ("finetune without weight", {"objective": FinetuneConfig(retain_weight=0.0)}, "nothing to minimise"),
    ("RMU without weights", {"objective": RMUConfig(forget_weight=0.0, alpha=0.0)}, "nothing to minimise"),
    ("finetune on forget rows", {"objective": FINETUNE, "ratio": ratio(0)}, "retain_per_forget=0, objective=Finetune"),
    ("alternating, ratio", {"schedule": ALTERNATING, "ratio": ratio(7)}, "retain_per_forget=7: forget and retain rows"),
    ("alternating, forget only", {"schedule": ALTERNATING, "ratio": ratio(0)}, "ratio.retain_per_forget=0"),
    ("alternating, ascent", {"schedule": ALTERNATING, "objective": ASCENT}, "annealing would do nothing"),
    ("alternating, finetune", {"schedule": ALTERNATING, "objective": FINETUNE}, "ascent would do nothing"),
    ("RMU below the scope", {"objective": RMU, "scope": layers("4-6")}, "scope.layers=4-6, objective.layer=3: every"),
    ("RMU below one layer", {"objective": RMU, "scope": layers("7,5")}, "scope.layers=7,5, objective.layer=3"),
    ("RMU below a slice", {"objective": RMU, "scope": layers("4:")}, "whose output would never change"),
    ("RMU below LoRA", {"objective": RMU, "scope": LoraScopeConfig(layers="4-7")}, "scope.layers=4-7"),
    (
        "RMU, head alone",
        {"objective": RMU, "scope": head_only()},
        "scope.modules=[], objective=RMU: only the head moves",
    ),
    ("top k of nothing", {"objective": GradDiffConfig(reference_top_k=8)}, "reference_top_k=8, objective.div"),
    (
        "top k with NPO",
        {"objective": NPOConfig(reference_top_k=8)},
        "nothing is compared with the model before",
    ),
    (
        "DPO of documents",
        {"objective": DPOConfig(), "prompt": DOCUMENT},
        "forget_supervised=document, objective=",
    ),
    (
        "4 bits, all weights",
        {"model": NF4},
        "model.quantization=nf4: only adapters are trained on it; choose scope=lora",
    ),
    ("4 bits, layers", {"model": NF4, "scope": layers("0-5")}, "only adapters are trained on it"),
    ("4 bits, traced", {"model": NF4, "scope": TracedScopeConfig()}, "only adapters are trained on it"),
    ("4 bits, sharded", {"model": NF4, "scope": LORA, "trainer": FSDP}, "trainer.strategy=fsdp: 4-bit weights are not"),
    (
        "4 bits, CPU",
        {"model": NF4, "scope": LORA, "trainer": CPU},
        "trainer.accelerator=cpu: 4-bit weights need a CUDA",
    ),
    (
        "scaled DoRA",
        {"update_scale": -1.0, "objective": LEARN, "scope": DORA},
        "update_scale=-1, scope.dora=true: its update is not",
    ),
    ("scaled, sharded", {"update_scale": 0.5, "trainer": FSDP}, "update_scale=0.5, trainer.strategy=fsdp: no process"),
    ("scaled, checks", {"update_scale": 2.0, "stopping": CHECKS}, "stopping.check_every_steps=10: checks would judge"),
    (
        "negated ascent",
        {"update_scale": -1.0},
        "update_scale=-1, objective=GradDiff: what is negated must be something",
    ),
    (
        "best, sharded",
        {"stopping": CHECKS, "trainer": FSDP},
        "stopping.keep_best=true, stopping.check_every_steps=10, trainer.strategy=fsdp: sharded weights are not kept",
    ),
    (
        "uphill, sharded",
        {"optimizer": UPHILL, "trainer": FSDP},
        "optimizer.sam_radius=0.01, trainer.strategy=fsdp: sharded",
    ),
    (
        "noise in adapters",
        {"noised_start": NOISE, "scope": LORA},
        "noised_start.share=0.5, scope=lora: new adapters hold",
    ),
    ("nothing to follow", {"objective": FOLLOWS, "stopping": CHECKS}, "unseen=true, data.unseen=[]: there is nothing"),
    (
        "a ceiling without checks",
        {"objective": FOLLOWS, "data": UNSEEN},
        "stopping.check_every_steps=null: the ceiling",
    ),
    ("noise, sharded", {"noised_start": NOISE, "trainer": FSDP}, "noised_start.share=0.5, trainer.strategy=fsdp: no"),
    ("noise, scaled", {"noised_start": NOISE, "update_scale": 2.0}, "update_scale=2: the noise would be scaled too"),
    ("RepSelect, adapters", {"repselect": REPSELECT, "scope": LORA}, "repselect, scope=lora: it changes whole weights"),
    (
        "RepSelect, sharded",
        {"repselect": REPSELECT, "trainer": FSDP},
        "repselect, trainer.strategy=fsdp: it runs on one",
    ),
    (
        "RepSelect, uphill",
        {"repselect": REPSELECT, "optimizer": UPHILL},
        "repselect, optimizer.sam_radius=0.01: it makes",
    ),
    (
        "RepSelect, noise",
        {"repselect": REPSELECT, "noised_start": NOISE},
        "repselect, noised_start.share=0.5: it starts",
    ),
    ("RepSelect, checks", {"repselect": REPSELECT, "stopping": CHECKS}, "stopping.check_every_steps=10: it makes no"),
    (
        "invented answers without a chat",
        {"objective": INVENTED},
        "objective.answers=own_and_invented, prompt.style=raw: only a chat model",
    ),
    (
        "invented answers, sharded",
        {"objective": INVENTED, "prompt": CHAT, "trainer": FSDP},
        "objective.answers=own_and_invented, trainer.strategy=fsdp: the model is asked on one device",
    ),
    ("scaled by 0", {"update_scale": 0.0}, "update_scale=0.0: must be a finite number other than 0"),
    ("scaled by infinity", {"update_scale": float("inf")}, "update_scale=inf: must be a finite number"),
]


@pytest.mark.parametrize(("parts", "words"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_refused(parts: dict[str, Any], words: str) -> None:
    """The choices are refused in one line."""
    with pytest.raises(InputError) as caught:
        check_settings(made(**parts))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


ACCEPTED: list[tuple[str, dict[str, Any]]] = [
    ("plain", {}),
    ("ascent alone", {"objective": ASCENT, "ratio": ratio(0)}),
    ("retain rows that are skipped", {"objective": ASCENT, "ratio": ratio(7)}),
    ("forget rows without weight", {"objective": GradDiffConfig(forget_weight=0.0)}),
    ("alternating", {"schedule": ALTERNATING}),
    ("alternating, relabelled", {"schedule": ALTERNATING, "objective": RelabelConfig()}),
    ("alternating, DPO", {"schedule": ALTERNATING, "objective": DPOConfig()}),
    ("alternating, RMU", {"schedule": ALTERNATING, "objective": RMU}),
    (
        "alternating, KL",
        {"schedule": ALTERNATING, "objective": GradDiffConfig(retain_weight=0.0, divergence_weight=1.0)},
    ),
    ("RMU, a ceiling without effect", {"objective": RMUConfig(forget_ceiling_nats=3.0)}),
    ("RMU at the scope's first layer", {"objective": RMU, "scope": layers("3-6")}),
    ("RMU within LoRA", {"objective": RMU, "scope": LoraScopeConfig(layers="5,1")}),
    ("RMU, depth unknown", {"objective": RMU, "scope": layers("-8:")}),
    ("RMU, everything else moves", {"objective": RMU, "scope": layers("4-6", complement=True)}),
    ("RMU, embeddings move", {"objective": RMU, "scope": layers("4-6", embeddings=True)}),
    ("RMU, traced", {"objective": RMU, "scope": TracedScopeConfig()}),
    ("head alone", {"scope": head_only()}),
    ("top k of a divergence", {"objective": GradDiffConfig(divergence_weight=1.0, reference_top_k=8)}),
    ("top k of UnDIAL's labels", {"objective": UnDIALConfig(reference_top_k=8)}),
    ("DPO of articles", {"objective": DPOConfig(), "prompt": PromptConfig()}),
    ("documents", {"prompt": DOCUMENT}),
    (
        "parts of a step",
        {"objective": AdaptiveGradDiffConfig(), "schedule": MixedScheduleConfig(accumulate=2)},
    ),
    ("4 bits, LoRA", {"model": NF4, "scope": LORA}),
    ("4 bits, DoRA on two GPUs", {"model": NF4, "scope": DORA, "trainer": TrainerConfig(strategy="ddp")}),
    ("scaled LoRA", {"update_scale": 0.5, "scope": LORA}),
    ("negated task vector", {"update_scale": -1.0, "objective": LEARN, "ratio": ratio(0)}),
    ("DoRA as it is", {"scope": DORA}),
    ("adapters uphill", {"optimizer": UPHILL, "scope": LORA}),
    ("noise", {"noised_start": NOISE}),
    ("RepSelect", {"repselect": REPSELECT, "update_scale": 2.0}),
    ("checks", {"stopping": CHECKS}),
    ("sharded without checks", {"trainer": FSDP}),
    ("a ceiling that follows unseen rows", {"objective": FOLLOWS, "stopping": CHECKS, "data": UNSEEN}),
    ("sharded, the last weights", {"trainer": FSDP, "stopping": replace(CHECKS, keep_best=False)}),
]


@pytest.mark.parametrize("parts", [case[1] for case in ACCEPTED], ids=[case[0] for case in ACCEPTED])
def test_accepted(parts: dict[str, Any]) -> None:
    """Settings that are unusual and make sense, or are harmless, are accepted."""
    check_settings(made(**parts))


@pytest.mark.parametrize(
    ("text", "lowest"),
    [
        ("all", 0),
        ("3", 3),
        ("4-6", 4),
        ("5,2-3", 2),
        ("2:", 2),
        ("2:5", 2),
        (":4", 0),
        (" 7 , 6 ", 6),
        ("-8:", None),
        ("6,-2:", None),
        ("", None),
        ("x", None),
    ],
)
def test_lowest_layer(text: str, lowest: int | None) -> None:
    """The lowest layer is known, unless the depth decides."""
    assert lowest_layer(text) == lowest


@pytest.mark.parametrize(("first", "refused"), [(0, False), (3, False), (4, True), (8, True)])
def test_layer_in_reach(first: int, refused: bool) -> None:
    """Layer 3 of 8 changes where it is trained, or one before it; 8 stands for the head alone."""
    if not refused:
        require_layer_in_reach(3, first, 8)
        return
    with pytest.raises(InputError, match=r"objective\.layer=3: everything that scope trains comes after this layer"):
        require_layer_in_reach(3, first, 8)


def test_layer_of_a_deeper_model() -> None:
    """The published layer 7 is refused on a model of four layers."""
    with pytest.raises(InputError, match=r"objective\.layer=7: this model's layers are 0 to 3"):
        require_layer_in_reach(7, 0, 4)


NEEDED: dict[type, dict[str, Any]] = {
    MergeConfig: {"adapters": ["one", "two"]},
    ProbeCommandConfig: {"probes": {"adapter": AdapterConfig()}},
}
"""Keys without which a command's settings are refused for another reason."""
COMMON = {"name": "run", "model": NF4, "data": DataConfig(), "trainer": TrainerConfig()}


@pytest.mark.parametrize(
    ("command", "root"),
    [
        ("unlearn-memorise", MemoriseConfig),
        ("unlearn-trace", TraceCommandConfig),
        ("unlearn-merge", MergeConfig),
        ("unlearn-probe", ProbeCommandConfig),
    ],
)
def test_commands_that_have_no_use_for_4_bits(command: str, root: type) -> None:
    """Commands that change whole weights, or look into them, refuse 4-bit weights."""
    with pytest.raises(
        InputError, match=f"model.quantization=nf4: {command} works on whole weights; choose model.quantization=none"
    ):
        check_settings(root(**COMMON, **NEEDED.get(root, {})))


def test_4_bits_are_scored_on_a_gpu() -> None:
    """A model in 4 bits can be scored on a GPU, but not in bfloat16."""
    own, official = (EvaluationConfig(precision=precision) for precision in (Precision.own, Precision.official))
    check_settings(EvaluateConfig(**COMMON, evaluation=own))
    with pytest.raises(InputError, match="4-bit weights need a CUDA GPU"):
        check_settings(EvaluateConfig(**{**COMMON, "trainer": CPU}, evaluation=own))
    with pytest.raises(InputError, match=r"^evaluation\.precision=official, model\.quantization=nf4: weights in 4"):
        check_settings(EvaluateConfig(**COMMON, evaluation=official))
