"""Every schema in Hydra's ConfigStore."""

from functools import cache
from typing import Any

from hydra.core.config_store import ConfigStore

from unlearning.config.baselines import (
    CEUConfig,
    DPOConfig,
    NPOConfig,
    PDUConfig,
    RelabelConfig,
    RMUConfig,
    SatImpConfig,
    SimNPOConfig,
    UnDIALConfig,
    WGAConfig,
)
from unlearning.config.commands import (
    EvaluateConfig,
    MemoriseConfig,
    MergeConfig,
    ProbeCommandConfig,
    TraceCommandConfig,
    UnlearnConfig,
)
from unlearning.config.objective import AdaptiveGradDiffConfig, FinetuneConfig, GradDiffConfig
from unlearning.config.probe import (
    AdapterConfig,
    LinearProbeConfig,
    PrimedConfig,
    QuantizedConfig,
    QuestionsConfig,
    RecognitionConfig,
    RelearningConfig,
)
from unlearning.config.report import ReportConfig
from unlearning.config.schedule import AlternatingScheduleConfig, ChunkedScheduleConfig, MixedScheduleConfig
from unlearning.config.scope import AllScopeConfig, LayersScopeConfig, LoraScopeConfig, TracedScopeConfig


@cache
def register() -> None:
    """Store every schema in Hydra's ConfigStore, polymorphic ones under "schema/"; once, for there is one store."""
    store = ConfigStore.instance()
    # Hydra copies the whole store each time that it composes, and 150 times for --help, though what it then takes from
    # it is a copy all the same (ConfigStore.load): one store is enough.
    vars(store)["__deepcopy__"] = _the_one_store
    roots: dict[str, Any] = {
        "unlearn_schema": UnlearnConfig,
        "memorise_schema": MemoriseConfig,
        "trace_schema": TraceCommandConfig,
        "evaluate_schema": EvaluateConfig,
        "merge_schema": MergeConfig,
        "probe_schema": ProbeCommandConfig,
        "report_schema": ReportConfig,
    }
    for name, node in roots.items():
        store.store(name=name, node=node)
    groups: dict[str, dict[str, Any]] = {
        "objective": {
            "finetune": FinetuneConfig,
            "grad_diff": GradDiffConfig,
            "adaptive_grad_diff": AdaptiveGradDiffConfig,
            "npo": NPOConfig,
            "simnpo": SimNPOConfig,
            "dpo": DPOConfig,
            "relabel": RelabelConfig,
            "undial": UnDIALConfig,
            "wga": WGAConfig,
            "satimp": SatImpConfig,
            "ce_u": CEUConfig,
            "pdu": PDUConfig,
            "rmu": RMUConfig,
        },
        "scope": {
            "all": AllScopeConfig,
            "layers": LayersScopeConfig,
            "traced": TracedScopeConfig,
            "lora": LoraScopeConfig,
        },
        "schedule": {
            "mixed": MixedScheduleConfig,
            "chunked": ChunkedScheduleConfig,
            "alternating": AlternatingScheduleConfig,
        },
        "probe": {
            "relearning": RelearningConfig,
            "quantized": QuantizedConfig,
            "questions": QuestionsConfig,
            "primed": PrimedConfig,
            "recognition": RecognitionConfig,
            "linear": LinearProbeConfig,
            "adapter": AdapterConfig,
        },
    }
    for group, nodes in groups.items():
        for name, node in nodes.items():
            store.store(group=f"schema/{group}", name=name, node=node, package=group)


def _the_one_store(_: Any) -> ConfigStore:
    return ConfigStore.instance()
