"""How choices that make no sense together are refused: in one line, with what was asked and the reason."""

from unlearning.config.objective import ObjectiveConfig
from unlearning.errors import InputError


def refuse_if(condition: bool, asked: str, reason: str) -> None:
    """Raise InputError "asked: reason" where the condition holds."""
    if condition:
        raise InputError(f"{asked}: {reason}")


def objective_name(objective: ObjectiveConfig) -> str:
    """Return the objective by the name of its class, which is the nearest to the command line that is known here."""
    return f"objective={objective._target_.rpartition('.')[2]}"
