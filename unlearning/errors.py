"""The one exception a user is meant to read."""


class InputError(ValueError):
    """Bad input: a file, a row, a setting. Its message is one line that says what, where and what is allowed.

    The commands print the message without a traceback and exit with code 1.
    """


class Interrupted(KeyboardInterrupt):
    """Somebody asked training to stop, and its state is saved."""
