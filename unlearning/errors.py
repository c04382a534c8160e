"""The exceptions that a user is meant to read, and the reason that another library gives."""


class InputError(ValueError):
    """Bad input: a file, a row, a setting. Its message is one line that says what, where and what is allowed.

    The commands print the message without a traceback and exit with code 1.
    """


def first_line(error: Exception) -> str:
    """Of what another library says, for a message of one line; its class where it says nothing."""
    # A KeyError puts quotation marks around its reason.
    reason = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return (reason.strip().splitlines() or [type(error).__name__])[0]


class Interrupted(KeyboardInterrupt):
    """Somebody asked training to stop, and its state is saved."""
