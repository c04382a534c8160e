"""A system message and a date are checked before anything is loaded."""

import pytest

from unlearning.config.checks import check_ranges
from unlearning.config.prompt import PromptConfig, PromptStyle
from unlearning.errors import InputError


@pytest.mark.parametrize("date", ["today", "2024-02-30", "20240726", "2024-7-26", ""])
def test_a_date_that_is_none(date: str) -> None:
    with pytest.raises(InputError, match=f"^prompt.date={date}: must be a day written as 2024-07-26$"):
        check_ranges(PromptConfig(date=date), "prompt")


def test_a_system_message_belongs_to_the_chat_style() -> None:
    with pytest.raises(InputError, match=r"^prompt\.system=Be short\.: must be null unless prompt\.style=chat$"):
        check_ranges(PromptConfig(system="Be short."), "prompt")
    check_ranges(PromptConfig(style=PromptStyle.chat, system="Be short.", date="2020-02-29"), "prompt")
