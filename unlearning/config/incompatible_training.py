"""Refuses ways to train that exclude one another: scaled updates, best states, gradients uphill, noise, and more."""

from unlearning.config.commands import UnlearnConfig
from unlearning.config.data import FileDataConfig
from unlearning.config.objective import DPOConfig, RelabelConfig
from unlearning.config.objective_choices import Answers
from unlearning.config.prompt import PromptStyle
from unlearning.config.refusing import objective_name, refuse_if
from unlearning.config.scope import LoraScopeConfig


def refuse_incompatible_training(config: UnlearnConfig) -> None:
    """Raise InputError for the first settings of how a run trains that exclude one another."""
    _refuse_scaling(config)
    _refuse_sharded_best(config)
    _refuse_sharded_uphill(config)
    _refuse_noise(config)
    _refuse_repselect(config)
    _refuse_invented(config)
    _refuse_moving_ceiling(config)


def _refuse_scaling(config: UnlearnConfig) -> None:
    """Refuse a scaled update where it could not be computed, or would mean something else."""
    asked, every = f"update_scale={config.update_scale:g}", config.stopping.check_every_steps
    if config.update_scale == 1:
        return
    dora = isinstance(config.scope, LoraScopeConfig) and config.scope.dora
    fsdp = config.trainer.strategy == "fsdp"
    refuse_if(
        config.update_scale < 0 and not isinstance(config.objective, RelabelConfig),
        f"{asked}, {objective_name(config.objective)}",
        "what is negated must be something learnt, or forgetting becomes learning; choose objective=task_vector",
    )
    refuse_if(dora, f"{asked}, scope.dora=true", "its update is not a multiple of its adapter; choose scope.dora=false")
    refuse_if(
        fsdp, f"{asked}, trainer.strategy=fsdp", "no process has whole weights to scale; choose trainer.strategy=auto"
    )
    refuse_if(
        every is not None,
        f"{asked}, stopping.check_every_steps={every}",
        "checks would judge the weights before they are scaled; choose stopping.check_every_steps=null",
    )


def _refuse_sharded_best(config: UnlearnConfig) -> None:
    """Refuse to keep the best state of sharded weights: after each check one device would have to hold all of them."""
    every = config.stopping.check_every_steps
    refuse_if(
        config.trainer.strategy == "fsdp" and config.stopping.keep_best and every is not None,
        f"stopping.keep_best=true, stopping.check_every_steps={every}, trainer.strategy=fsdp",
        "sharded weights are not kept at a check; choose stopping.keep_best=false",
    )


def _refuse_sharded_uphill(config: UnlearnConfig) -> None:
    """Refuse gradients uphill of sharded weights, whose one length no process has."""
    radius = config.optimizer.sam_radius
    refuse_if(
        config.trainer.strategy == "fsdp" and radius > 0,
        f"optimizer.sam_radius={radius:g}, trainer.strategy=fsdp",
        "sharded weights are not moved uphill; choose trainer.strategy=auto",
    )


def _refuse_noise(config: UnlearnConfig) -> None:
    """Refuse noise in adapters or sharded weights, and an update whose scale would count the noise."""
    asked = f"noised_start.share={config.noised_start.share:g}"
    if config.noised_start.share == 0:
        return
    lora, fsdp = isinstance(config.scope, LoraScopeConfig), config.trainer.strategy == "fsdp"
    refuse_if(lora, f"{asked}, scope=lora", "new adapters hold nothing that noise could take away; choose scope=all")
    refuse_if(fsdp, f"{asked}, trainer.strategy=fsdp", "no process has whole weights; choose trainer.strategy=auto")
    refuse_if(
        config.update_scale != 1,
        f"{asked}, update_scale={config.update_scale:g}",
        "the noise would be scaled too; choose update_scale=1",
    )


def _refuse_repselect(config: UnlearnConfig) -> None:
    """Refuse RepSelect where it has no whole matrices to change, and beside what only optimiser steps have."""
    if config.repselect is None:
        return
    asked, every = "repselect", config.stopping.check_every_steps
    refuse_if(
        isinstance(config.scope, LoraScopeConfig), f"{asked}, scope=lora", "it changes whole weights; choose scope=all"
    )
    refuse_if(
        config.trainer.strategy != "auto",
        f"{asked}, trainer.strategy={config.trainer.strategy}",
        "it runs on one device; choose trainer.strategy=auto",
    )
    refuse_if(
        config.optimizer.sam_radius > 0,
        f"{asked}, optimizer.sam_radius={config.optimizer.sam_radius:g}",
        "it makes no optimiser steps; choose optimizer.sam_radius=0",
    )
    refuse_if(
        config.noised_start.share > 0,
        f"{asked}, noised_start.share={config.noised_start.share:g}",
        "it starts from the weights; choose noised_start.share=0",
    )
    refuse_if(
        every is not None,
        f"{asked}, stopping.check_every_steps={every}",
        "it makes no optimiser steps; choose stopping.check_every_steps=null",
    )


def _refuse_invented(config: UnlearnConfig) -> None:
    """Refuse answers of the model's own invention where it is not asked in a chat, or is on several devices."""
    if not isinstance(config.objective, DPOConfig) or config.objective.answers is not Answers.own_and_invented:
        return
    asked = f"objective.answers={config.objective.answers}"
    refuse_if(
        config.prompt.style is PromptStyle.raw,
        f"{asked}, prompt.style=raw",
        "only a chat model is asked for other answers; choose objective.answers=own_and_other",
    )
    refuse_if(
        config.trainer.strategy != "auto",
        f"{asked}, trainer.strategy={config.trainer.strategy}",
        "the model is asked on one device; choose trainer.strategy=auto",
    )


def _refuse_moving_ceiling(config: UnlearnConfig) -> None:
    """Refuse a ceiling that follows unseen rows where there are none, or where no check looks at them."""
    if not config.objective.ceiling_follows_unseen:
        return
    asked, data = "objective.ceiling_follows_unseen=true", config.data
    refuse_if(
        not isinstance(data, FileDataConfig) or not data.unseen,
        f"{asked}, data.unseen=[]",
        "there is nothing to follow; name files of rows that neither set holds, such as data.unseen=[unseen.jsonl]",
    )
    refuse_if(
        config.stopping.check_every_steps is None,
        f"{asked}, stopping.check_every_steps=null",
        "the ceiling moves at checks; choose stopping.check_every_steps=20",
    )
