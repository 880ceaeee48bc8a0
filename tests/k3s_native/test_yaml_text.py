"""Values written as YAML come back as the same values."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.yaml_text import to_yaml

# What YAML can hold: no surrogates, no control characters.
texts = st.text(st.characters(exclude_categories=("Cs", "Cc"), include_characters="\n\t"), max_size=40)
scalars = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts
)
natives = st.dictionaries(
    st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyz-.*/:0123456789"), min_size=1, max_size=20),
    st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
    ),
    max_size=6,
)


@given(natives)
def test_native_values_survive_being_written_and_read(native: dict) -> None:
    text = to_yaml(native)
    assert yaml.load(text, Loader=yaml.SafeLoader) == native
    assert yaml.load(text, Loader=yaml.CSafeLoader) == native
    assert list(yaml.safe_load(text)) == list(native)


@pytest.mark.parametrize(
    "text",
    [
        "1.30",
        "no",
        "on",
        "y",
        "N",
        "0777",
        "1e3",
        "6_e4",
        "0o17",
        "0x1f",
        "1:30",
        "2024-01-01",
        "null",
        "~",
        "",
        "+1",
        ".5",
    ],
)
def test_text_that_looks_like_something_else_is_quoted(text: str) -> None:
    assert to_yaml({"key": text}) in (f'key: "{text}"\n', f"key: '{text}'\n")


@pytest.mark.parametrize(
    "text",
    ["v1.36.3+k3s1", "10.42.0.0/16", "192.168.1.10", "max-pods=150", "https://a.example.com:6443", "2001:db8::1"],
)
def test_ordinary_text_stays_plain(text: str) -> None:
    assert to_yaml({"key": text}) == f"key: {text}\n"


def test_several_lines_are_a_literal_block() -> None:
    assert to_yaml({"key": "#!/bin/sh\nset -e\n  echo\n"}) == "key: |\n  #!/bin/sh\n  set -e\n    echo\n"


def test_long_text_is_never_folded() -> None:
    assert to_yaml({"key": "word " * 100 + "end"}).count("\n") == 1


def test_references_stand_in_single_quotes_so_that_most_values_may_take_their_place() -> None:
    text = to_yaml({"key": "${env:PASSWORD}"})
    assert text == "key: '${env:PASSWORD}'\n"
    for value in ('a"b', "a\\b", "a: b #c", "{x}", "no"):
        assert yaml.safe_load(text.replace("${env:PASSWORD}", value)) == {"key": value}


def test_equal_lists_are_written_out_twice() -> None:
    shared = ["a"]
    assert to_yaml({"one": shared, "two": shared}) == "one:\n  - a\ntwo:\n  - a\n"


def test_what_yaml_has_no_plain_form_for_is_refused() -> None:
    with pytest.raises(TypeError, match="no text, number, list or mapping"):
        to_yaml({"key": object()})
