"""Puts the text of files that the inventory names by `source:` in their place. Reads files of the repository only."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path as FilePath
from typing import TypeVar

from bootstrap.inventory.problems import Path, Problems, Tree
from bootstrap.inventory.repository import FileProblem, is_executable, list_files, list_stacks, read_repository_file

TEXT_KEYS = {"files": "content", "hooks": "run"}
NATIVE_SECTIONS = ("manifests", "patches")  # file name -> text, or {source: PATH}; or a folder with stacks of files
Listed = TypeVar("Listed")


class Sources:
    """Replaces `source: PATH` by the file's text, in every layer of a document."""

    def __init__(self, root: FilePath, distro: str, problems: Problems) -> None:
        self.root = root
        self.distro = distro
        self.problems = problems

    def fill(self, document: dict[str, Tree]) -> dict[str, Tree]:
        """The document with the texts of its sources."""
        filled = self.fill_layer(document, ())
        for kind in ("roles", "groups", "hosts"):
            if kind in document:
                layers = document[kind].items()
                filled[kind] = {name: self.fill_layer(layer, (kind, name)) for name, layer in layers}
        return filled

    def fill_layer(self, layer: Mapping[str, Tree], path: Path) -> dict[str, Tree]:
        filled = dict(layer)
        for key, text_key in TEXT_KEYS.items():
            if key in layer:
                filled[key] = [self.fill_item(item, text_key, (*path, key, at)) for at, item in enumerate(layer[key])]
        native = layer.get(self.distro, {})
        texts: dict[str, Tree] = {
            section: self.fill_texts(native[section], (*path, self.distro, section))
            for section in NATIVE_SECTIONS
            if section in native
        }
        if isinstance(native.get("files"), list):
            texts["files"] = list(self.fill_placed(native["files"], (*path, self.distro, "files")))
        if texts:
            filled[self.distro] = {**native, **texts}
        return filled

    def fill_item(self, item: dict[str, Tree] | None, text_key: str, path: Path) -> dict[str, Tree] | None:
        """A file or hook whose text stands under `text_key`; exactly one of the text and its source is given."""
        if item is None or self.problems.touches((*path, text_key)) or self.problems.touches((*path, "source")):
            return None
        if (text_key in item) == ("source" in item):
            both = text_key in item
            message = (
                f"`{text_key}` and `source` are both given" if both else f"neither `{text_key}` nor `source` is given"
            )
            self.problems.add(
                path, message, f"`{text_key}` holds the text, `source` names a file with it: give one of them"
            )
            return None
        if "source" not in item:
            return item
        text = self.read(item["source"], (*path, "source"))
        return None if text is None else {**item, text_key: text}

    def fill_texts(self, texts: Mapping[str, Tree] | str, path: Path) -> dict[str, Tree]:
        """The texts by name; of a folder, by their path in it."""
        if isinstance(texts, str):
            found = self.list(list_stacks, texts, path)
            return {name: self.read(f"{texts.rstrip('/')}/{name}", path) for name in found}
        filled = {}
        for name, value in texts.items():
            text = self.read(value.get("source"), (*path, name, "source")) if isinstance(value, dict) else value
            if text is not None:
                filled[name] = text
        return filled

    def fill_placed(self, items: Sequence[Tree], path: Path) -> Iterator[Tree]:
        """Files as k0sctl writes them: each with its text as `data`, and its whole path as `dst`."""
        for index, item in enumerate(items):
            here = (*path, index, "src")
            if not isinstance(item, dict) or not isinstance(item.get("src"), str) or "://" in item["src"]:
                yield item
                continue
            found = self.list(list_files, item["src"], here)
            if len(found) > 1 and "dst" in item:
                self.problems.add(
                    here, f"`{item['src']}` is {len(found)} files, and `dst` is one", "give `dstDir` instead"
                )
                continue
            for name, place in found:
                rest = {key: value for key, value in item.items() if key not in ("src", "dstDir")}
                mode = "0755" if is_executable(self.root, name) else "0644"
                folder = str(item.get("dstDir", "")).rstrip("/")
                yield {"perm": mode, "dst": f"{folder}/{place}", **rest, "data": self.read(name, here)}

    def list(self, lister: Callable[[FilePath, str], list[Listed]], name: str, path: Path) -> list[Listed]:
        try:
            return lister(self.root, name)
        except FileProblem as error:
            self.problems.add(path, str(error), error.hint)
            return []

    def read(self, name: str | None, path: Path) -> str | None:
        if name is None:
            return None
        try:
            return read_repository_file(self.root, name)
        except FileProblem as error:
            self.problems.add(path, str(error), error.hint)
            return None
