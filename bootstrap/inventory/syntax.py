"""Turns what libyaml says about text that is no YAML into what a person can act on. Pure."""

import re
from collections.abc import Sequence

from bootstrap.inventory.problems import Problems, Tree
from bootstrap.model import Position

DEPTH_LIMIT = 50
TOO_DEEP, TOO_DEEP_HINT = f"nested deeper than {DEPTH_LIMIT} levels", "a payload this deep belongs in a file"
TAB_INDENT = r" *\t"
BRACES = r"[^\s\"'\[\]{},]*(\{\d+\.\.\d+\}|\$\{[a-z]+:[^}]*\})[^\s\"'\[\]{},]*"  # a range or a reference
LONGEST_LINE = 1000  # characters; beyond that the search would take too long
MISSING_SPACE = r"\s*(- )?[A-Za-z_]+:[^\s:/]"


def explain_syntax(error: Exception, problems: Problems) -> None:
    """Add the problem of a yaml.YAMLError, whose marks and words are optional."""
    start = place_of(getattr(error, "context_mark", None))
    said = getattr(error, "problem", None) or str(error).splitlines()[0]
    place = place_of(getattr(error, "problem_mark", None)) or start or Position(1, 1)
    tab = find_tab(problems.lines, place.line)
    if tab:
        problems.add_at(tab, "a tab indents this line", "YAML is indented by spaces: replace the tab")
    elif start and "quoted scalar" in (getattr(error, "context", None) or "") and "end of stream" in said:
        problems.add_at(start, "this quote is never closed", "close it, or double it inside single quotes")
    elif "nesting depth" in said:
        problems.add_at(place, TOO_DEEP, TOO_DEEP_HINT)
    elif start and "could not find expected ':'" in said:
        problems.add_at(start, "this text has no place here", "a key needs a colon and a space behind it")
    else:
        problems.add_at(place, f"this is not YAML: {said}", advise(said, problems.lines, place))


def place_of(mark: Tree) -> Position | None:
    return Position(mark.line + 1, mark.column + 1) if mark else None


def find_tab(lines: Sequence[str], line: int) -> Position | None:
    """A tab among the indentation of the line at fault or of the one before it."""
    for number in (line, line - 1):
        match = re.match(TAB_INDENT, lines[number - 1]) if 0 < number <= len(lines) else None
        if match:
            return Position(number, match.end())
    return None


def find_braces(line: str, column: int) -> str:
    """The text with a range or a reference that holds a column, or nothing."""
    matches = re.finditer(BRACES, line) if len(line) <= LONGEST_LINE else ()
    return next((match[0] for match in matches if match.start() < column <= match.end()), "")


def advise(said: str, lines: Sequence[str], place: Position) -> str:
    """What usually lies behind this message of libyaml."""
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    above = lines[place.line - 2] if place.line > 1 else ""
    if "did not find expected ','" in said and (text := find_braces(line, place.column)):
        return f'text with braces stands in quotes inside {{...}} and [...]: "{text}"'
    if "mapping values are not allowed" in said and re.match(MISSING_SPACE, above):
        return "a space must follow the colon of a key: look at the line above too"
    if "mapping values are not allowed" in said:
        return 'text that holds ": " stands in quotes; else look at the indentation'
    if "cannot start any token" in said:
        return "text that begins with one of @ ` % stands in quotes"
    if "did not find expected key" in said or "expected <block end>" in said or "block mapping" in said:
        return "the indentation does not fit the lines above"
    return ""
