"""How a range check speaks."""

from unlearning.errors import InputError


def require(condition: bool, key: str, value: object, allowed: str) -> None:
    """Raise InputError "key=value: must be allowed" unless the condition holds."""
    if not condition:
        raise InputError(f"{key}={value}: must be {allowed}")
