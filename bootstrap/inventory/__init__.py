"""An inventory file to an Inventory, with every mistake told at once. Reads files of the repository; reaches no host.

The path of the data: file -> source -> document -> references in fields -> shape -> sources -> ranges -> checks -> Inventory.
"""

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bootstrap.distros import DISTROS, find_driver
from bootstrap.errors import InventoryError, UsageError
from bootstrap.inventory.build import Builder
from bootstrap.inventory.checks import check_values
from bootstrap.inventory.document import Document, read_document
from bootstrap.inventory.draft import Draft
from bootstrap.inventory.fields import Fields
from bootstrap.inventory.native import add_native_problems
from bootstrap.inventory.problems import Problems, Tree
from bootstrap.inventory.ranges import Entry, expand_hosts
from bootstrap.inventory.repository import find_root
from bootstrap.inventory.schema import fits, schema, schema_text
from bootstrap.inventory.source import Source, read_source
from bootstrap.inventory.sources import Sources
from bootstrap.inventory.tree import prune
from bootstrap.model import Inventory

__all__ = ["find_inventory", "load_inventory", "schema_text"]


def load_inventory(path: Path, environment: Mapping[str, str]) -> Inventory:
    """Read and check an inventory.

    References to the environment and to files are filled into addresses, users, labels and the like; payloads and the
    token keep theirs. Raises InventoryError with all mistakes, UsageError when there is no file to read.
    """
    source = read_source(path)
    problems = Problems(source.file, source.lines)
    with pause_collection():
        inventory = read_inventory(source, find_root(path), environment, problems)
    if problems.found or inventory is None:
        raise InventoryError(problems.found)
    return inventory


def read_inventory(source: Source, root: Path, environment: Mapping[str, str], problems: Problems) -> Inventory | None:
    """The inventory as far as it makes sense; mistakes go to `problems`."""
    document = read_document(source, problems)
    written = document.value
    if not isinstance(written, dict) or (problems.found and not written):
        if not problems.found:
            check_shape(document, problems)
        return None
    fields = Fields(root, environment, frozenset(DISTROS), problems)
    document = document.with_value(fields.fill(written))
    check_shape(document, problems)
    if problems.are_enough:
        return None
    fitting: dict[str, Tree] = prune(document.value, (), problems)
    fitting = Sources(root, fitting.get("distro", ""), problems).fill(fitting)
    draft = Draft(fitting, expand_hosts(fitting.get("hosts", {}), problems))
    check_values(draft, problems)
    inventory = Builder(without_mistakes(draft, problems), root, problems).inventory(source.file, written)
    if inventory.distro in DISTROS:
        add_native_problems(find_driver(inventory.distro).check(inventory), inventory, problems)
    return inventory


def check_shape(document: Document, problems: Problems) -> None:
    """Add a problem for everything that the schema refuses."""
    if not fits(document.value, schema()):
        from bootstrap.inventory.shape import explain_shape

        explain_shape(document, problems)


def without_mistakes(draft: Draft, problems: Problems) -> Draft:
    """The draft without what the checks found wrong, so that the rest can still be looked at."""
    if not problems.broken:
        return draft
    document = prune(draft.document, (), problems)
    entries = [entry for entry in draft.entries if not problems.is_broken(entry.path)]
    return Draft(
        document, [Entry(entry.name, prune(entry.settings, entry.path, problems), entry.path) for entry in entries]
    )


def find_inventory(folder: Path) -> Path:
    """The only inventory of the repository that a folder lies in. Raises UsageError when there is none or several."""
    for parent in (folder.absolute(), *folder.absolute().parents):
        place = parent / "inventories"
        if place.is_dir():
            return choose_inventory(place)
        if (parent / ".git").exists():
            break
    raise UsageError(
        "there is no inventory here",
        where=str(folder),
        why="neither this folder nor one above it in the repository has a folder inventories/",
        next_step="name one: bootstrap validate PATH; `bootstrap schema` lists every key",
    )


def choose_inventory(place: Path) -> Path:
    found = sorted(
        path for path in place.iterdir() if path.suffix in (".yaml", ".yml") and not path.name.startswith(".")
    )
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(
            "the folder holds no inventory", where=str(place), next_step="write one: home.yaml, for example"
        )
    listed = ", ".join(str(path.relative_to(place.parent)) for path in found)
    raise UsageError("there are several inventories", where=str(place), why=listed, next_step="name the one you mean")


@contextmanager
def pause_collection() -> Iterator[None]:
    """No cyclic garbage collection while thousands of small values are made: it would double the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
