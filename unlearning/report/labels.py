"""Values of settings for people: short, and never two that look alike."""

import math
import re
from collections.abc import Iterable

_FLOAT = re.compile(r"-?(\d+\.\d*(e[+-]?\d+)?|\d+e[+-]?\d+)")
_NUMBER = re.compile(r"((?<==)\d+(?:\.\d*)?(?:e[+-]?\d+)?)")
DIGITS, ALL_DIGITS = 4, 17


def short_values(texts: Iterable[str]) -> dict[str, str]:
    """Return each text with floats at 4 significant digits, at more where two of them would look the same."""
    distinct = list(dict.fromkeys(texts))
    for digits in range(DIGITS, ALL_DIGITS):
        short = {text: short_number(text, digits) for text in distinct}
        if len(set(short.values())) == len(distinct):
            return short
    return {text: text for text in distinct}


def short_number(text: str, digits: int = DIGITS) -> str:
    """Return a float with at most so many significant digits; anything else, and what is short already, as it is."""
    if not _FLOAT.fullmatch(text) or not math.isfinite(float(text)):
        return text
    mantissa = text.lstrip("-").partition("e")[0].replace(".", "").strip("0")
    return text if len(mantissa) <= digits else f"{float(text):.{digits}g}"


def natural(label: str) -> list[str | float]:
    """Return a key to sort labels by, in which lr=0.001 comes after lr=1e-05: text and numbers in turn."""
    parts: list[str | float] = list(_NUMBER.split(label))
    return [float(part) if index % 2 else part for index, part in enumerate(parts)]


def data_set_name(target: str) -> str:
    """Return the name of the data set that a reader reads, such as "tofu" for unlearning.data.tofu.TofuReader."""
    return target.rpartition(".")[2].removesuffix("Reader").lower()


def shortened(text: str, length: int = 22) -> str:
    """Return the text, without its middle where it is longer."""
    if len(text) <= length:
        return text
    half = (length - 1) // 2
    return f"{text[: length - 1 - half]}…{text[-half:]}"
