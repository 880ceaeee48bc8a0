"""Diffs tell all that differs, and nothing secret."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.diffs import count_lines, diff_file, diff_removed_file, find_secrets
from bootstrap.model import Reference, Secret
from bootstrap.redact import MASK
from bootstrap.references import fill_references

PATH = "/etc/rancher/k3s/config.yaml"
TOKEN = {"${env:TOKEN}": Secret("correct-horse")}
LINES = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\0$\ufffd"), max_size=12), max_size=12
)


def body(diff: str) -> list[str]:
    return diff.splitlines()[2:]


def test_an_equal_secret_is_no_difference() -> None:
    assert diff_file(PATH, "token: correct-horse\n", "token: ${env:TOKEN}\n", TOKEN) == ""


def test_an_equal_secret_beside_a_change_shows_as_its_reference() -> None:
    diff = diff_file(PATH, "token: correct-horse\na: 1\n", "token: ${env:TOKEN}\na: 2\n", TOKEN)
    assert body(diff) == ["@@ -1,2 +1,2 @@", " token: ${env:TOKEN}", "-a: 1", "+a: 2"]


def test_an_unknown_old_secret_is_masked() -> None:
    diff = diff_file(PATH, "token: who-knows\n", "token: ${env:TOKEN}\n", TOKEN)
    assert body(diff) == ["@@ -1 +1 @@", f"-token: {MASK}", "+token: ${env:TOKEN}"]


def test_a_secret_written_in_clear_is_masked_on_both_sides_and_still_differs() -> None:
    assert body(diff_file(PATH, "password: a\n", "password: b\n", {})) == [
        "@@ -1 +1 @@", f"-password: {MASK}", f"+password: {MASK}",
    ]  # fmt: skip


def test_a_reference_whose_value_nobody_knows_yet_stays_a_difference() -> None:
    assert "+ca: ${saved:ca}" in body(diff_file(PATH, "ca: x\n", "ca: ${saved:ca}\n", {}))


def test_a_short_value_does_not_spoil_words_that_hold_it() -> None:
    region = {"${env:REGION}": Secret("eu")}
    diff = diff_file(PATH, "queue: eu\nregion: eu\nx: 1\n", "queue: eu\nregion: ${env:REGION}\nx: 2\n", region)
    assert body(diff) == ["@@ -1,3 +1,3 @@", " queue: eu", " region: ${env:REGION}", "-x: 1", "+x: 2"]


def test_a_literal_that_holds_a_referenced_value_is_no_difference() -> None:
    domain = {"${env:DOMAIN}": Secret("home.lan")}
    diff = diff_file(PATH, "a: x.home.lan\nb: home.lan\nc: 1\n", "a: x.home.lan\nb: ${env:DOMAIN}\nc: 2\n", domain)
    assert [line for line in body(diff) if line[0] in "+-"] == ["-c: 1", "+c: 2"]


def test_a_value_of_several_lines_is_compared_as_a_whole() -> None:
    secrets = {"${file:ca}": Secret("line one\nline two\n")}
    diff = diff_file(PATH, "a: 1\nline one\nline two\n", "a: 2\n${file:ca}", secrets)
    assert body(diff) == ["@@ -1,2 +1,2 @@", "-a: 1", "+a: 2", " ${file:ca}"]


def test_an_escaped_reference_is_plain_text_on_the_host() -> None:
    assert diff_file(PATH, "x: ${env:A}\n", "x: $${env:A}\n", {}) == ""


def test_a_new_file_is_all_plus() -> None:
    diff = diff_file(PATH, None, "a: 1\nb: 2\n", {})
    assert diff == f"--- /dev/null\n+++ {PATH}\n@@ -0,0 +1,2 @@\n+a: 1\n+b: 2\n"
    assert count_lines(diff) == "+2 lines"


def test_a_removed_file_is_all_minus() -> None:
    diff = diff_removed_file(PATH, "token: correct-horse\nb: 2\n", TOKEN)
    assert diff == f"--- {PATH}\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-token: ${{env:TOKEN}}\n-b: 2\n"
    assert count_lines(diff) == "-2 lines"


def test_a_missing_newline_at_the_end_is_noted() -> None:
    assert body(diff_file(PATH, "a", "a\n", {})) == ["@@ -1 +1 @@", "-a", "\\ No newline at end of file", "+a"]


def test_a_file_that_becomes_empty_loses_its_lines() -> None:
    assert body(diff_file(PATH, "a\n", "", {})) == ["@@ -1 +0,0 @@", "-a"]


def test_an_empty_new_file_says_so() -> None:
    diff = diff_file(PATH, None, "", {})
    assert diff.startswith("--- /dev/null")
    assert count_lines(diff) == "an empty file"


def test_a_carriage_return_and_an_escape_show_but_do_nothing() -> None:
    assert body(diff_file(PATH, "a\r\n\x1b[31mb\n", "a\nb\n", {})) == [
        "@@ -1,2 +1,2 @@", "-a\\r", "-\\x1b[31mb", "+a", "+b",
    ]  # fmt: skip


@pytest.mark.parametrize("content", ["a\0b", "\ufffd\ufffdab"])
def test_a_binary_file_is_summarised(content: str) -> None:
    diff = diff_file(PATH, content, "text\n", {})
    assert body(diff)[0].startswith("# binary: ")
    assert count_lines(diff).startswith("binary: ")


def test_a_huge_file_is_summarised() -> None:
    diff = diff_file(PATH, "a\n" * 3000, "b\n" * 3000, {})
    assert body(diff) == ["# long: 3000 lines -> 3000 lines"]


def test_a_long_line_is_cut() -> None:
    assert body(diff_file(PATH, None, "x" * 9000 + "\n", {}))[1] == "+" + "x" * 500 + "... (9000 characters)"


def test_lines_that_look_like_headers_are_counted() -> None:
    assert count_lines(diff_file(PATH, "-- x\n", "++ x\n", {})) == "+1 -1 lines"


def test_one_line_is_singular() -> None:
    assert count_lines(diff_file(PATH, "a\n", "a\nb\n", {})) == "+1 line"


@given(LINES, LINES)
def test_a_diff_is_empty_exactly_when_the_files_are_equal(old: list[str], new: list[str]) -> None:
    before, after = "\n".join(old), "\n".join(new)
    assert (diff_file(PATH, before, after, {}) == "") == (before == after)


@given(LINES, LINES)
def test_the_lines_of_a_diff_are_those_of_the_files(old: list[str], new: list[str]) -> None:
    """With no masks and no controls the diff rebuilds the new file's changed part, and counts fit."""
    before, after = ("".join(f"x{line.encode().hex()}\n" for line in lines) for lines in (old, new))
    lines = body(diff_file(PATH, before, after, {}))
    added, removed = (sum(line.startswith(sign) for line in lines) for sign in "+-")
    assert added - removed == len(new) - len(old)
    assert all(line[1:] in after.splitlines() for line in lines if line[0] in "+ ")
    assert all(line[1:] in before.splitlines() for line in lines if line[0] in "- ")


@given(
    st.text("abcdefgh0123456789'\"\\ $&<>%é", min_size=6, max_size=30).filter(lambda value: len(value.strip()) >= 6),
    LINES,
    LINES,
    st.integers(0, 12),
)
def test_no_known_value_is_in_a_diff(value: str, old: list[str], new: list[str], place: int) -> None:
    secrets = {"${env:TOKEN}": Secret(value)}
    if any(value.strip() in line for line in new):
        return  # written in clear in the inventory: no secret
    old.insert(place, f"x: {value}")
    new.insert(place, "x: ${env:TOKEN}")
    diff = diff_file(PATH, "\n".join(old), "\n".join(new), secrets)
    assert value.strip() not in diff


@given(LINES, st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_values_are_found_again_in_the_filled_text(lines: list[str], value: str) -> None:
    rendered = "\n".join([*lines, "token: ${env:TOKEN} $${env:X}", *lines, "again: ${env:TOKEN}"])
    filled = fill_references(rendered, lambda reference: value)
    found = find_secrets(rendered, filled)
    assert fill_references(rendered, lambda reference: found[reference.text].reveal()) == filled
    assert set(found) == {Reference("env", "TOKEN").text}


def test_texts_that_do_not_fit_give_no_values() -> None:
    assert find_secrets("a: ${env:TOKEN}\n", "b: x\n") == {}
