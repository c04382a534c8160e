"""The subject of an own row: the words of its input that it asks about, where the row says which they are."""

from unlearning.data.records import Record, excerpt, text_field

ENDS = ("subject_start", "subject_end")


def given_subject(record: Record, text: str) -> tuple[int, int] | None:
    """Return where the subject begins and ends in the row's input `text`; None where the row does not say.

    "subject" are words of the input that stand there once. "subject_start" and "subject_end" are indices of characters,
    counted from 0, the end exclusive. A null says nothing.

    Raises InputError for words that are not in the input or stand there twice, and for ends outside of it.
    """
    given = [name for name in ("subject", *ENDS) if record.fields.get(name) is not None]
    if not given:
        return None
    if given == ["subject"]:
        return _only_place(record, text)
    if given != list(ENDS):
        raise record.error(f"has {', '.join(given)}; must have subject alone, or both {' and '.join(ENDS)}")
    start, end = (_index(record, name) for name in ENDS)
    if not 0 <= start < end <= len(text) or not text[start:end].strip():
        raise record.error(f"subject_start={start}, subject_end={end}: must enclose words of input {excerpt(text)}")
    return start, end


def _only_place(record: Record, text: str) -> tuple[int, int]:
    subject = text_field(record, "subject").strip()
    times = text.count(subject)
    if times != 1:
        raise record.error(
            f"subject {excerpt(subject)} stands {times} times in input {excerpt(text)}; must stand there once, "
            "or subject_start and subject_end must be given"
        )
    start = text.index(subject)
    return start, start + len(subject)


def _index(record: Record, name: str) -> int:
    value = record.fields[name]
    if isinstance(value, bool) or not isinstance(value, int):
        raise record.error(f"{name} is {excerpt(value)}; must be a whole number")
    return value
