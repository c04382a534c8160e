"""Knowledge: whether the whole generation is the expected answer."""


def normal_form(text: str) -> str:
    """What is compared: no outer white space, lower case."""
    return text.strip().lower()


def exact_match(expected: str, generated: str) -> float:
    """1 if both texts are equal but for case and outer white space, else 0. So the model has to stop by itself."""
    return float(normal_form(expected) == normal_form(generated))
