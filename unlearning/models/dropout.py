"""Dropout that a model's configuration names: whether there is any, and how to switch it off for good."""

from torch import nn
from transformers import PreTrainedModel


def has_dropout(model: PreTrainedModel) -> bool:
    """Return whether dropout, by a module or by a function that the configuration sets, may change what layers say."""
    settings = model.config.get_text_config()
    functional = [getattr(settings, name) for name in _names(model)]
    modules = [module.p for module in model.modules() if isinstance(module, nn.Dropout)]
    return any(share > 0 for share in (*functional, *modules))


def switch_dropout_off(model: PreTrainedModel) -> None:
    """Set every share of dropout to 0: in the configuration, in modules, and where modules keep a number of their own.

    The configuration that is saved with the model says 0 from then on.
    """
    for name in _names(model):
        setattr(model.config.get_text_config(), name, 0.0)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for name, value in list(vars(module).items()):
            if "drop" in name and isinstance(value, float):
                setattr(module, name, 0.0)


def _names(model: PreTrainedModel) -> list[str]:
    """Return the names of the configuration's shares of dropout.

    Those of a summary belong to a head that a language model does not have.
    """
    settings = model.config.get_text_config().to_dict()
    numbers = [name for name, value in settings.items() if "drop" in name and isinstance(value, int | float)]
    return [name for name in numbers if not name.startswith("summary_")]
