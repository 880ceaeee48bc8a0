"""What of a host's files of arguments and of its certificate's names is not as wanted. Pure.

Lines of a fragment: `NAME=VALUE` stands in the file, `!NAME` does not.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

NAME = re.compile(r"^(!?)([^=\s]+)")


def fragment_lines(text: str) -> list[str]:
    """The lines of a rendered fragment, without its remarks."""
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def name_of(line: str) -> str:
    """`--v` of `--v=2`, `--v 2`, `!--v`."""
    match = NAME.match(line)
    return match[2] if match else ""


def stale_names(before: str, lines: Sequence[str]) -> list[str]:
    """Names that the fragment of before gave a value, and the wanted one does not speak of."""
    kept = {name_of(line) for line in lines}
    names = (name_of(line) for line in fragment_lines(before) if not line.startswith("!"))
    return [name for name in dict.fromkeys(names) if name and name not in kept]


def find_differences(text: str, lines: Sequence[str], stale: Iterable[str] = ()) -> Iterator[str]:
    """What is to change in a file of arguments, a word each: `--v=2`, `no --v`."""
    there: dict[str, list[str]] = {}
    for line in text.splitlines():
        there.setdefault(name_of(line), []).append(line)
    for line in lines:
        name = name_of(line)
        if line.startswith("!"):
            if name in there:
                yield f"no {name}"
        elif there.get(name) != [line]:
            yield line
    for name in stale:
        if name in there:
            yield f"no {name}"


def certificate_names(template: str) -> set[str]:
    """Names and addresses in the snap's template for certificates."""
    return {match[1].strip() for match in re.finditer(r"^(?:DNS|IP)\.\d+\s*=\s*(\S+)", template, re.MULTILINE)}
