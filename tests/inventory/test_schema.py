"""The schema speaks about every key, agrees with the model, and decides like its quick reading."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from bootstrap.distros import DISTROS
from bootstrap.inventory import schema_text
from bootstrap.inventory.schema import KEYWORDS, WORDS, fits, follow, schema
from bootstrap.model import Escalation, Role


def parts(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every part of the schema that speaks of a value, references followed."""
    node = follow(node)
    yield path, node
    for key, inner in node.get("properties", {}).items():
        yield from parts(inner, f"{path}.{key}")
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            yield from parts(node[key], f"{path}.*")


PARTS = dict(parts(schema()))


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(schema())
    assert schema_text().endswith("}\n")


@pytest.mark.parametrize("path", [path for path in PARTS if not path.endswith("*")])
def test_every_key_has_a_title_a_description_and_examples_that_fit(path: str) -> None:
    node = PARTS[path]
    assert node["title"], path
    assert node["description"].endswith("."), path
    assert node["examples"], path
    for example in node["examples"]:
        errors = list(Draft202012Validator({**node, "$defs": schema()["$defs"]}).iter_errors(example))
        assert errors == [], f"{path}: {example}"


def test_the_schema_uses_only_keywords_that_its_quick_reading_knows() -> None:
    assert {keyword for node in PARTS.values() for keyword in node} <= KEYWORDS | WORDS


def test_the_schema_and_the_model_have_the_same_choices() -> None:
    assert PARTS[".distro"]["enum"] == list(DISTROS)
    assert PARTS[".hosts.*.role"]["enum"] == list(Role)
    assert list(PARTS[".roles"]["properties"]) == list(Role)
    assert sorted(PARTS[".ssh.become"]["enum"]) == sorted(Escalation)
    assert set(DISTROS) <= schema()["properties"].keys()


def test_every_layer_takes_the_same_settings() -> None:
    layers = [PARTS[path]["properties"].keys() for path in ("", ".roles.worker", ".groups.*", ".hosts.*")]
    common = set.intersection(*map(set, layers))
    assert common == set(PARTS[".groups.*"]["properties"]) == set(PARTS[".roles.worker"]["properties"])


# --- the quick reading against jsonschema --------------------------------------------------------

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-1, 70000)
    | st.sampled_from([0.5, 700.5])
    | st.sampled_from(["", "x", "22", "${env:X}", "{1..3}", "controller", "worker", "bootstrap/v1", "k3s"])
)
KEYS = sorted({key for node in PARTS.values() for key in node.get("properties", {})} | {"x", "a-{1..3}"})
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=5,
)
SAMPLES = [yaml.safe_load(path.read_text()) for path in sorted((Path(__file__).parent / "shapes").glob("*.yaml"))]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container of a document with every key or index in it."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield value, key
            yield from places(inner)


@st.composite
def spoilt_documents(draw: st.DrawFn) -> Any:
    """A good inventory with a few values replaced, taken out or put in anywhere."""
    document = deepcopy(draw(st.sampled_from(SAMPLES)))
    for _ in range(draw(st.integers(0, 3))):
        container, key = draw(st.sampled_from(list(places(document))))
        change = draw(st.sampled_from(["replace", "remove", "insert"]))
        if change == "remove":
            del container[key]
        elif change == "insert" and isinstance(container, dict):
            container[draw(st.sampled_from(KEYS))] = draw(VALUES)
        else:
            container[key] = draw(VALUES)
    return document


@given(spoilt_documents())
def test_the_quick_reading_decides_like_jsonschema(value: Any) -> None:
    assert fits(value, schema()) == Draft202012Validator(schema()).is_valid(value)


def test_the_quick_reading_takes_every_good_inventory() -> None:
    assert [fits(sample, schema()) for sample in SAMPLES] == [True] * 10
