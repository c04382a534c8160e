"""The base model, from before the model memorised, must fit the model that is traced."""

from transformers import PreTrainedModel

from unlearning.errors import InputError


def require_same_shape(model: PreTrainedModel, base: PreTrainedModel | None) -> None:
    """Refuse a base model that is missing, or that differs in family, depth, width or the shape of a parameter.

    Raises:
        InputError: in these cases.
    """
    if base is None:
        raise InputError("trace.corruption=base_model: needs trace.base_model, the model before it memorised")
    ours, theirs = (_dimensions(item) for item in (model, base))
    if ours != theirs:
        raise InputError(f"trace.base_model: family, layers and width are {theirs}, but those of the model are {ours}")
    shapes = {name: tuple(parameter.shape) for name, parameter in base.named_parameters()}
    for name, parameter in model.named_parameters():
        if shapes.get(name) != tuple(parameter.shape):
            found = shapes.get(name, "not there")
            raise InputError(f"trace.base_model: {name} is {found}, but in the model {tuple(parameter.shape)}")


def _dimensions(model: PreTrainedModel) -> tuple[str, int, int]:
    """Return the family, the number of layers and the width."""
    settings = model.config.get_text_config()
    return model.config.model_type, settings.num_hidden_layers, settings.hidden_size
