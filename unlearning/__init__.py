"""Experiments in unlearning language models: a method is an objective, a scope and a schedule."""

from unlearning.api.configuration import Configuration, compose
from unlearning.api.results import Run
from unlearning.api.running import run
from unlearning.errors import InputError

__all__ = ["Configuration", "InputError", "Run", "compose", "run"]
__version__ = "0.1.0"
