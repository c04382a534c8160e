"""Lightning's trainer, and the precision that it works in."""

import signal
import warnings
from collections.abc import Sequence
from pathlib import Path
from threading import current_thread, main_thread

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger
from pytorch_lightning.strategies import Strategy

from unlearning.config.model import ModelConfig, Quantization
from unlearning.config.trainer import TrainerConfig
from unlearning.training.sharding import ShardedStrategy


class OwnSignals(pl.Callback):
    """Keeps the handler of SIGTERM that was set before training.

    Lightning would set its own, which sends a message to the other devices at any moment: in the middle of another
    exchange between devices, all of them would wait for ever.
    """

    def __init__(self) -> None:
        self.handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Set the handler again, after Lightning has set its own."""
        if current_thread() is main_thread():
            signal.signal(signal.SIGTERM, self.handler)


def make_trainer(
    config: TrainerConfig, run_dir: Path, logger: Sequence[Logger], callbacks: list[pl.Callback]
) -> pl.Trainer:
    """Return Lightning's trainer for one pass over a plan."""
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*`IterableDataset` has `__len__`.*")
    return pl.Trainer(
        accelerator=config.accelerator,
        strategy=_strategy(config),
        devices=config.devices if config.devices == "auto" else int(config.devices),
        num_nodes=config.nodes,
        precision=resolve_precision(config),  # type: ignore[arg-type]
        max_epochs=1,
        logger=list(logger),
        callbacks=[OwnSignals(), *callbacks],
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        log_every_n_steps=1,
        default_root_dir=run_dir,
        use_distributed_sampler=False,
    )


def resolve_precision(config: TrainerConfig) -> str:
    """Return Lightning's name of the precision; "auto" is bf16-mixed on a GPU with bfloat16, else 32-true."""
    if config.precision != "auto":
        return config.precision
    on_gpu = config.accelerator != "cpu" and torch.cuda.is_available()
    return "bf16-mixed" if on_gpu and torch.cuda.is_bf16_supported() else "32-true"


def _strategy(config: TrainerConfig) -> str | Strategy:
    """Return Lightning's own strategy by its name; for fsdp our own, see `sharding`."""
    return ShardedStrategy(resolve_precision(config)) if config.strategy == "fsdp" else config.strategy


def weights_dtype(config: TrainerConfig) -> torch.dtype:
    """Return the type that weights are loaded in: float32, except where training runs in pure bfloat16."""
    return torch.bfloat16 if resolve_precision(config) == "bf16-true" else torch.float32


def merged_dtype(trainer: TrainerConfig, model: ModelConfig) -> torch.dtype:
    """Return the type of the whole model into which adapters are merged.

    With 4-bit weights it is bfloat16 where the GPU has it: they computed in bfloat16, and the whole model must fit on
    the GPU that trained them (7B: 13 GiB, in float32 26).
    """
    if model.quantization is Quantization.none or not torch.cuda.is_bf16_supported():
        return weights_dtype(trainer)
    return torch.bfloat16
