"""The processes that trace or evaluate a model together."""

from lightning_fabric import Fabric

from unlearning.config.commands import CommonConfig
from unlearning.training.hardware import require_hardware


def one_process_a_device(config: CommonConfig) -> Fabric:
    """Return a fabric with one process for each device, each of which holds the whole model.

    Raises InputError for devices that are not there.
    """
    require_hardware(config.trainer)
    trainer = config.trainer
    return Fabric(
        accelerator=trainer.accelerator,
        devices=trainer.devices if trainer.devices == "auto" else int(trainer.devices),
        num_nodes=trainer.nodes,
        strategy="auto" if trainer.strategy == "auto" else "ddp",
    )
