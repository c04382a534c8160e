"""Errors of Hydra and OmegaConf as one line that names the key and what is allowed."""

import re
from dataclasses import fields, is_dataclass

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from unlearning.config.registration import schemas
from unlearning.errors import InputError

_NOISE = (
    r"full_key: \S+",
    r"object_type=\w+",
    r"reference_type=\S+",
    r"See https?://\S+[^.]*\.?",
    r"Config search path:.*",
    r"To append to your config use \S+",
    r"Set the environment variable HYDRA_FULL_ERROR=1.*",
)


def one_line(error: BaseException) -> str:
    """Return the error's message on one line; for an unknown key, with the keys that exist there."""
    if isinstance(error, InputError):
        return _flat(str(error))
    cause = _omegaconf_cause(error)
    text = str(cause.msg or cause) if cause is not None else str(error)
    named = re.search(r"full_key: (\S+)", f"{cause or ''} {error}")
    key = (cause.full_key or cause.key if cause is not None else None) or (named.group(1) if named else None)
    if isinstance(cause, MissingMandatoryValue) and key:
        return f"{key}: it has no default, so it must be given: {key}=..."
    allowed = _siblings(cause) or _fields(str(error))
    if key and allowed and re.search(r"Key '.*?' (is )?not in", f"{text} {error}"):
        return f"{key}: no such key; allowed here: {allowed}"
    message = _flat(text)
    if re.search(r"Could not find 'hydra/(sweeper|launcher)/", message):
        return f"{message}; install this project's extra 'sweeps'"
    return f"{key}: {message}" if key and str(key) not in message else message


def refuse_unknown_keys(cfg: DictConfig, prefix: str = "") -> None:
    """Raise InputError for a key that no schema declares, which "+key=value" on the command line can smuggle in."""
    schema = OmegaConf.get_type(cfg)
    declared = {item.name for item in fields(schema)} if is_dataclass(schema) else {str(key) for key in cfg}
    for key in map(str, cfg):
        if key not in declared:
            allowed = ", ".join(sorted(name for name in declared if not name.startswith("_")))
            raise InputError(f"{prefix}{key}: no such key; allowed here: {allowed}")
        value = cfg._get_node(key)
        if isinstance(value, DictConfig) and not value._is_none() and not value._is_missing():
            refuse_unknown_keys(value, f"{prefix}{key}.")


def _omegaconf_cause(error: BaseException | None) -> OmegaConfBaseException | None:
    """Return the innermost OmegaConf error of a chain, which knows the key; None where there is none."""
    found = None
    while error is not None:
        if isinstance(error, OmegaConfBaseException):
            found = error
        error = error.__cause__
    return found


def _siblings(error: OmegaConfBaseException | None) -> str:
    """Return the keys beside the one that the error is about, where the error knows them."""
    parent = error.parent_node if error is not None else None
    if not isinstance(parent, DictConfig):
        return ""
    return ", ".join(sorted(key for key in map(str, parent) if not key.startswith("_")))


def _fields(message: str) -> str:
    """Return the keys of the schema that a message "Key 'x' not in 'Schema'" names."""
    named = re.search(r"not in '(\w+)'", message)
    schema = next((found for _, found in schemas() if named and found.__name__ == named.group(1)), None)
    if schema is None:
        return ""
    return ", ".join(sorted(item.name for item in fields(schema) if not item.name.startswith("_")))


def _flat(message: str) -> str:
    """Return the message on one line, without what only a reader of OmegaConf's code understands."""
    for pattern in _NOISE:
        message = re.sub(pattern, " ", message, flags=re.DOTALL if "search path" in pattern else 0)
    return re.sub(r"\s+", " ", message).strip()
