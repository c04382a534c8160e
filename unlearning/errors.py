"""The exceptions that a user reads, and the reasons that other libraries give."""


class InputError(ValueError):
    """Bad input: a file, a row, a setting. Its message is one line that says what, where and what is allowed.

    The commands print the message without a traceback and exit with code 1.
    """


class EndedEarlyError(InputError):
    """Training left no weights to keep: it diverged, or a rule of `stopping` ended it. Other numbers may do better."""


def first_line(error: Exception) -> str:
    """Return the first line of another library's error message, or the error's class where it has no message."""
    # A KeyError puts quotation marks around its reason.
    reason = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return (reason.strip().splitlines() or [type(error).__name__])[0]


class Interrupted(KeyboardInterrupt):
    """Training was asked to stop, and has saved its state."""
