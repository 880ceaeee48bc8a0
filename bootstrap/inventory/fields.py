"""Fills `${env:NAME}` and `${file:PATH}` into the fields of an inventory that must be known before a host is asked.

Payloads stay as they are: native values, file contents, scripts, add-on arguments and the token keep their references.
"""

import re
from collections.abc import Mapping
from pathlib import Path as FilePath

from bootstrap.inventory.problems import Path, Problems, Tree
from bootstrap.inventory.repository import FileProblem, read_repository_file
from bootstrap.model import Reference
from bootstrap.references import KINDS, PATTERN, fill_references

PAYLOADS = frozenset({"content", "run", "args"})
FIELD_HINT = "only ${env:NAME} and ${file:PATH} may stand here: a field like this is shown in plans and rendered files"


class Fields:
    """Fills references; each missing one is a problem at its own place."""

    def __init__(
        self, root: FilePath, environment: Mapping[str, str], natives: frozenset[str], problems: Problems
    ) -> None:
        self.root = root
        self.environment = environment
        self.natives = natives
        self.problems = problems

    def fill(self, value: Tree, path: Path = ()) -> Tree:
        """The value with every field filled in."""
        if isinstance(value, dict):
            return {key: self.fill(inner, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.fill(inner, (*path, index)) for index, inner in enumerate(value)]
        if not isinstance(value, str) or "${" not in value or self.is_payload(path):
            return value
        return self.fill_text(value, path)

    def is_payload(self, path: Path) -> bool:
        place = path[2:] if path[0] in ("roles", "groups", "hosts") else path
        if not place or place[0] in self.natives or place == ("token",):
            return True
        return place[0] in ("files", "hooks", "addons") and len(place) > 2 and place[2] in PAYLOADS

    def fill_text(self, text: str, path: Path) -> str:
        for match in PATTERN.finditer(text):
            if not match[1] and (reason := self.refuse(match[2])):
                self.problems.add(path, *reason)
                return ""
        if reason := refuse_misspelt(text):
            self.problems.add(path, *reason)
            return ""
        try:
            return fill_references(text, self.value_of)
        except FileProblem as error:
            self.problems.add(path, str(error), error.hint)
            return ""

    def refuse(self, kind: str) -> tuple[str, str] | None:
        return None if kind in ("env", "file") else (f"a `${{{kind}:...}}` reference can't stand here", FIELD_HINT)

    def value_of(self, reference: Reference) -> str:
        if reference.kind == "env":
            return self.variable(reference.name)
        return read_repository_file(self.root, reference.name).strip("\r\n")

    def variable(self, name: str) -> str:
        value = self.environment.get(name)
        if value is None:
            raise FileProblem(f"the environment has no variable `{name}`", f"set it: {name}=... bootstrap ...")
        if not value:
            raise FileProblem(f"the environment variable `{name}` is empty", f"set it: {name}=... bootstrap ...")
        return value


def refuse_misspelt(text: str) -> tuple[str, str] | None:
    """Why a text holds something that is nearly a reference; a shell's ${NAME:-x} in an annotation is none."""
    from difflib import get_close_matches

    for kind in re.findall(r"(?<!\$)\$\{([A-Za-z]+):", text):
        close = get_close_matches(kind.lower(), KINDS, 1)
        if kind not in KINDS and close:
            return f"there is no reference `${{{kind}:...}}`", f"did you mean `${{{close[0]}:...}}`?"
    return None
