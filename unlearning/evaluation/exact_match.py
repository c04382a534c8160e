"""Knowledge: whether the whole generation is the expected answer (exact match, 0 or 1)."""


def normal_form(text: str) -> str:
    """Return the text as it is compared: in lower case, without outer white space."""
    return text.strip().lower()


def exact_match(expected: str, generated: str) -> float:
    """Return 1 if both texts are equal apart from case and outer white space, else 0.

    Anything that the model says after the answer makes it 0, so the model has to stop by itself.
    """
    return float(normal_form(expected) == normal_form(generated))
