"""Whatever the bytes, loading ends in an Inventory or in an InventoryError; text arrives unchanged or not at all."""

import json
import string
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bootstrap.errors import InventoryError, Problem
from bootstrap.inventory import load_inventory
from bootstrap.inventory.schema import schema
from bootstrap.model import Inventory

from .tables import WHOLE

relaxed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
PRINTABLE = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]) | st.sampled_from("\n\t"), max_size=80)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.dates()
KEYS = st.sampled_from(
    [*schema()["properties"], "a", "address", "role", "server", "config", "path", "name", "at", "run"]
)
TREES = st.recursive(
    SCALARS | st.sampled_from(["controller", "10.0.0.1", "${env:X}", "{1..3}", "a:NoSchedule"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=8), inner, max_size=6),
    max_leaves=25,
)
SNIPPETS = st.sampled_from(
    [
        "hosts:",
        "  a: ",
        "{address: 10.0.0.1}",
        "%YAML",
        "${env:X}",
        "{1..3}",
        "\r\n",
        "\ufeff",
        "k3s: ",
        "<<: ",
        "---\n",
    ]
)


def attempt(folder: Path, content: bytes) -> Inventory | list[Problem]:
    path = folder / "home.yaml"
    path.write_bytes(content)
    try:
        return load_inventory(path, {})
    except InventoryError as error:
        check_problems(error.problems, content)
        return error.problems


def check_problems(problems: list[Problem], content: bytes) -> None:
    """Every problem has words and a place in the file, and no two are the same."""
    assert problems
    assert problems == sorted(problems, key=lambda problem: (problem.position, problem.message))
    assert len(set(problems)) == len(problems)
    lines = (
        content.decode(errors="replace").removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    )
    for problem in problems:
        assert problem.message
        assert 1 <= problem.line <= len(lines)
        assert problem.source == lines[problem.line - 1]
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1


@relaxed
@given(st.binary(max_size=300))
def test_random_bytes_end_in_problems(tmp_path: Path, content: bytes) -> None:
    assert isinstance(attempt(tmp_path, content), list)


@relaxed
@given(
    st.lists(
        SNIPPETS | st.sampled_from([*"-:|>&*!#{}[],? \n\t\"'"]) | st.text(string.printable, max_size=5), max_size=40
    ).map("".join)
)
def test_random_yaml_ends_in_problems_or_an_inventory(tmp_path: Path, text: str) -> None:
    attempt(tmp_path, text.encode())
    attempt(tmp_path, (WHOLE + text).encode())


@settings(relaxed, max_examples=30)
@given(st.dictionaries(KEYS, TREES, max_size=8))
def test_random_values_end_in_problems_or_an_inventory(tmp_path: Path, tree: dict) -> None:
    whole = {**yaml.safe_load(WHOLE), **tree}
    attempt(tmp_path, yaml.safe_dump(whole, allow_unicode=True).encode())


@relaxed
@given(PRINTABLE)
@example("no")
@example("a\u2028b")
@example("{1..3}")
@example("$${env:X}")
@example("line\n")
def test_text_arrives_unchanged_or_is_refused(tmp_path: Path, text: str) -> None:
    quoted = json.dumps(text, ensure_ascii=False)
    document = (
        f"{WHOLE}files: [{{path: /etc/x, content: {quoted}}}]\nlabels: {{a: {quoted}}}\n"
        f"annotations: {{a: {quoted}}}\nk3s: {{manifests: {{x.yaml: {quoted}}}, registries: {{mirrors: {{}}}}}}\n"
    )
    loaded = attempt(tmp_path, document.encode())
    if isinstance(loaded, Inventory):
        (host,) = loaded.hosts
        assert host.files[0].content == text
        assert host.labels["a"] == text
        assert host.annotations["a"] == text
        assert host.native["manifests"]["x.yaml"] == text


def escape(text: str) -> str:
    """Double-quoted YAML with everything unusual escaped."""
    return '"' + "".join(c if c.isalnum() and c.isascii() else f"\\U{ord(c):08x}" for c in text) + '"'


@relaxed
@given(PRINTABLE)
def test_every_text_can_be_the_content_of_a_file(tmp_path: Path, text: str) -> None:
    document = f"{WHOLE}files: [{{path: /etc/x, content: {escape(text)}}}]\n"
    loaded = attempt(tmp_path, document.encode())
    assert isinstance(loaded, Inventory)
    assert loaded.hosts[0].files[0].content == text


@pytest.mark.parametrize("number", ["0", "7", "-3", "1.5", "123456789012345678"])
def test_numbers_that_every_reader_understands_stay_numbers(tmp_path: Path, number: str) -> None:
    loaded = attempt(tmp_path, f"{WHOLE}addons: [{{name: x, args: {number}}}]\n".encode())
    assert isinstance(loaded, Inventory)
    assert loaded.addons[0].args == yaml.safe_load(number)
