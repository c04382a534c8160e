"""Every key of every configuration file, with its unit and its range.

Imports neither torch nor any other heavy library, so that ``--help`` and ``--cfg job`` answer at once.
Ranges are checked in ``__post_init__``, which runs when the composed configuration becomes objects.
"""

from unlearning.config.baselines import (
    CEUConfig,
    DPOConfig,
    NPOConfig,
    PDUConfig,
    RatioUnit,
    RelabelConfig,
    RMUConfig,
    SatImpConfig,
    SimNPOConfig,
    UnDIALConfig,
    WGAConfig,
)
from unlearning.config.checks import require
from unlearning.config.commands import (
    CommonConfig,
    EvaluateConfig,
    MemoriseConfig,
    MergeConfig,
    RecipeConfig,
    TraceCommandConfig,
    UnlearnConfig,
)
from unlearning.config.data import DataConfig, DataSource, WorldConfig
from unlearning.config.evaluation import EvaluationConfig, HarnessConfig, QuestionFormat
from unlearning.config.logger import LoggerConfig, LoggerKind
from unlearning.config.model import Architecture, ModelConfig, Quantization
from unlearning.config.objective import (
    AdaptiveGradDiffConfig,
    Answers,
    Averaging,
    Divergence,
    FinetuneConfig,
    GradDiffConfig,
    ObjectiveConfig,
    Reduction,
    ReferenceLoss,
    WeightedConfig,
)
from unlearning.config.optimizer import Decay, OptimizerConfig
from unlearning.config.prompt import PromptConfig, PromptStyle, Supervised
from unlearning.config.registration import register
from unlearning.config.report import ConstraintConfig, ReportConfig, SelectConfig
from unlearning.config.schedule import (
    AlternatingScheduleConfig,
    ChunkedScheduleConfig,
    MixedScheduleConfig,
    RatioConfig,
    ScheduleConfig,
)
from unlearning.config.scope import (
    AllScopeConfig,
    LayersScopeConfig,
    LoraScopeConfig,
    ModuleKind,
    ScopeConfig,
    TracedScopeConfig,
)
from unlearning.config.stopping import BestBy, StoppingConfig
from unlearning.config.trace import (
    Corruption,
    Direction,
    SelectionRule,
    TraceConfig,
    TracedSplit,
    TracedTokens,
    TraceMode,
)
from unlearning.config.trainer import TrainerConfig

__all__ = [
    "AdaptiveGradDiffConfig",
    "AllScopeConfig",
    "AlternatingScheduleConfig",
    "Answers",
    "Architecture",
    "Averaging",
    "BestBy",
    "CEUConfig",
    "ChunkedScheduleConfig",
    "CommonConfig",
    "ConstraintConfig",
    "Corruption",
    "DPOConfig",
    "DataConfig",
    "DataSource",
    "Decay",
    "Direction",
    "Divergence",
    "EvaluateConfig",
    "EvaluationConfig",
    "FinetuneConfig",
    "GradDiffConfig",
    "HarnessConfig",
    "LayersScopeConfig",
    "LoggerConfig",
    "LoggerKind",
    "LoraScopeConfig",
    "MemoriseConfig",
    "MergeConfig",
    "MixedScheduleConfig",
    "ModelConfig",
    "ModuleKind",
    "NPOConfig",
    "ObjectiveConfig",
    "OptimizerConfig",
    "PDUConfig",
    "PromptConfig",
    "PromptStyle",
    "Quantization",
    "QuestionFormat",
    "RMUConfig",
    "RatioConfig",
    "RatioUnit",
    "RecipeConfig",
    "Reduction",
    "ReferenceLoss",
    "RelabelConfig",
    "ReportConfig",
    "SatImpConfig",
    "ScheduleConfig",
    "ScopeConfig",
    "SelectConfig",
    "SelectionRule",
    "SimNPOConfig",
    "StoppingConfig",
    "Supervised",
    "TraceCommandConfig",
    "TraceConfig",
    "TraceMode",
    "TracedScopeConfig",
    "TracedSplit",
    "TracedTokens",
    "TrainerConfig",
    "UnDIALConfig",
    "UnlearnConfig",
    "WGAConfig",
    "WeightedConfig",
    "WorldConfig",
    "register",
    "require",
]
