"""References in text: found, and filled with values. Pure; where values come from is bootstrap.secrets' business."""

import re
from collections.abc import Callable, Iterator

from bootstrap.model import Reference

KINDS = ("env", "file", "secret", "command", "generated", "saved")
# A shell's ${file:-default} must pass untouched, so a name begins with none of -+=?; $${...} is the escape.
PATTERN = re.compile(r"(\$?)\$\{(" + "|".join(KINDS) + r"):([^}\n\-+=?][^}\n]*)\}")


def find_references(text: str) -> Iterator[Reference]:
    """Every reference in the text, in order, repeated ones too."""
    for match in PATTERN.finditer(text):
        if not match[1]:
            yield Reference(match[2], match[3].strip())


def fill_references(text: str, value_of: Callable[[Reference], str]) -> str:
    """The text with each reference replaced by its value and `$${` by `${`."""

    def replace(match: re.Match[str]) -> str:
        return match[0][1:] if match[1] else value_of(Reference(match[2], match[3].strip()))

    return PATTERN.sub(replace, text)
