"""Loads inventories from text; the k3s driver is the real one."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from bootstrap.errors import InventoryError, Problem
from bootstrap.inventory import load_inventory
from bootstrap.model import Inventory

Write = Callable[..., Path]
Load = Callable[..., Inventory]
Fail = Callable[..., list[Problem]]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a repository: the inventory's text and other files by path."""

    def write(text: str, files: Mapping[str, str] | None = None) -> Path:
        path = tmp_path / "inventories" / "home.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode())
        for name, content in (files or {}).items():
            place = tmp_path / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(content)
        return path

    return write


@pytest.fixture
def load(write: Write) -> Load:
    def load(text: str, files: Mapping[str, str] | None = None, **environment: str) -> Inventory:
        return load_inventory(write(text, files), environment)

    return load


@pytest.fixture
def problems(load: Load) -> Fail:
    """The problems of an inventory that must not load."""

    def problems(text: str, files: Mapping[str, str] | None = None, **environment: str) -> list[Problem]:
        with pytest.raises(InventoryError) as caught:
            load(text, files, **environment)
        return caught.value.problems

    return problems
