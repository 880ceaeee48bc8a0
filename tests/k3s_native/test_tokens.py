"""Which join tokens are taken."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.distros.k3s.tokens import check_token


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("", "0 characters"),
        ("short", "5 characters"),
        ("a" * 600 + string.ascii_letters, "between 16 and 512"),
        ("aaaaaaaaaaaaaaaaaaaaaaaa", "1 different characters"),
        ("abcdef.0123456789abcdef", "bootstrap token"),
        ("K10" + "a" * 64 + "::server:0123456789abcdef", "secure form"),
        ("K10abcdefghijklmnop", "secure form"),
        ("0123456789abcdef ghij", "other characters"),
        ("0123456789abcdef\n", "white space"),
        ("0123456789abcdef'ghij", "other characters"),
        ("0123456789:abcdefghij", "other characters"),
        ("0123456789abcdefäöü", "other characters"),
    ],
)
def test_a_token_that_would_fail_or_be_weak_is_refused_with_the_reason(token: str, reason: str) -> None:
    assert reason in check_token(token)


@given(st.text(string.ascii_letters + string.digits, min_size=32, max_size=64).filter(lambda text: len(set(text)) > 5))
def test_long_tokens_of_letters_and_digits_are_taken(token: str) -> None:
    assert check_token(token) == "" or token.startswith("K10")


@given(st.text("JQXZ0189.: ", min_size=8))
def test_no_message_holds_the_token(token: str) -> None:
    assert token not in check_token(token)
