"""Values and labels for people."""

import pytest

from unlearning.report.labels import natural, short_number, short_values, shortened


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("0.00012480743326331826", "0.0001248"),
        ("-2.718281828", "-2.718"),
        ("1.5e-05", "1.5e-05"),
        ("0.0001", "0.0001"),
        ("100000.0", "100000.0"),
        ("123456", "123456"),
        ("outputs/1.23456789", "outputs/1.23456789"),
        ("null", "null"),
        ("NaN", "NaN"),
    ],
)
def test_only_long_floats_are_shortened(text: str, short: str) -> None:
    """To 4 significant digits; whole numbers, words and what is short already stay."""
    assert short_number(text) == short


def test_values_that_would_look_alike_have_more_digits() -> None:
    """0.12345 and 0.12349 are both 0.1234 or 0.1235 with 4 digits, and told apart with 5; all have the same digits."""
    assert short_values(["0.12341111", "0.12342222", "0.5"]) == {
        "0.12341111": "0.12341",
        "0.12342222": "0.12342",
        "0.5": "0.5",
    }
    twins = ["0.1234567890123456", "0.1234567890123457"]
    assert short_values(twins) == {text: text for text in twins}


def test_a_shortened_value_never_meets_a_whole_one() -> None:
    """0.12340001 with 4 digits is 0.1234, which is somebody else's."""
    assert len(set(short_values(["0.12340001", "0.1234"]).values())) == 2


def test_numbers_in_labels_sort_by_size() -> None:
    """As text, 1e-05 would come after 0.001."""
    labels = ["npo, lr=0.001", "npo, lr=1e-05", "npo", "npo, lr=null", "npo_2, lr=1e-05", "npo, lr=0.0001, epochs=12"]
    assert sorted(labels, key=natural) == [
        "npo",
        "npo, lr=1e-05",
        "npo, lr=0.0001, epochs=12",
        "npo, lr=0.001",
        "npo, lr=null",
        "npo_2, lr=1e-05",
    ]


def test_a_long_text_loses_its_middle() -> None:
    """A long text is cut to the length that was asked for."""
    assert shortened("outputs/layers.json", 22) == "outputs/layers.json"
    assert shortened("abcdefghij", 5) == "ab…ij"
    assert shortened("abcdefghij", 6) == "abc…ij"
