"""Unified diffs of files for people: secrets masked, real bytes compared; and where two documents differ. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from bootstrap.model import Reference, Secret
from bootstrap.redact import SHORT, Redactor, escape_controls, mask_lines
from bootstrap.references import PATTERN, fill_references

CONTEXT = 3  # unchanged lines around a change
MAX_LINES = 4000  # both sides together; a longer diff tells nobody anything
MAX_WIDTH = 500  # characters of a line that are shown
NO_NEWLINE = "\\ No newline at end of file"

Secrets = Mapping[str, Secret]  # by the reference's text, such as ${env:TOKEN}


@dataclass(frozen=True)
class Line:
    """A line as it lies on the host, and as it is shown; only `real` decides what is equal."""

    real: str
    shown: str
    ended: bool = True  # by a newline


def diff_file(path: str, old: str | None, new: str, secrets: Secrets) -> str:
    """How `old`, the bytes on the host (None: no such file), becomes `new`, the rendered text with references.

    `secrets` holds the values that the references stand for: a value in `old` that equals the new one is no
    difference, and is shown as its reference. Empty when the host's bytes are what `new` will become.
    """
    wanted = fill_references(new, lambda reference: _value(reference, secrets))
    if old == wanted:
        return ""
    names = (f"--- {'/dev/null' if old is None else path}", f"+++ {path}")
    if _is_binary(old or "") or _is_binary(new):
        return _join(*names, f"# binary: {_size(old)} -> {_size(wanted)}")
    before = [] if old is None else _host_lines(old, secrets)
    return _diff(names, before, _rendered_lines(new, wanted, secrets))


def diff_removed_file(path: str, old: str, secrets: Secrets) -> str:
    """The diff of a file that goes away."""
    names = (f"--- {path}", "+++ /dev/null")
    if _is_binary(old):
        return _join(*names, f"# binary: {_size(old)} -> nothing")
    return _diff(names, _host_lines(old, secrets), [])


def count_lines(diff: str) -> str:
    """`+2 -1 lines` of a diff made here; what is zero is left out, a diff without lines gives its summary."""
    body = diff.splitlines()[2:]
    added = sum(line.startswith("+") for line in body)
    removed = sum(line.startswith("-") for line in body)
    if not added and not removed:
        return " ".join(line[2:] for line in body if line.startswith("# ")) or "no lines"
    counts = [f"+{added}"] * bool(added) + [f"-{removed}"] * bool(removed)
    return f"{' '.join(counts)} {'line' if added + removed == 1 else 'lines'}"


def find_secrets(rendered: str, filled: str) -> dict[str, Secret]:
    """The values that stand in `filled` where `rendered` holds references, by the reference's text.

    Empty when the two don't fit together.
    """
    groups: dict[str, str] = {}
    pattern, position = "", 0
    for match in PATTERN.finditer(rendered):
        pattern += re.escape(rendered[position : match.start()])
        position = match.end()
        if match[1]:
            pattern += re.escape(match[0][1:])
            continue
        text = Reference(match[2], match[3].strip()).text
        pattern += f"(?P={groups[text]})" if text in groups else f"(?P<r{len(groups)}>.*?)"
        groups.setdefault(text, f"r{len(groups)}")
    found = re.fullmatch(pattern + re.escape(rendered[position:]), filled, re.DOTALL)
    return {text: Secret(found[group]) for text, group in groups.items()} if found else {}


# --- lines ---------------------------------------------------------------------------------------


def _rendered_lines(new: str, wanted: str, secrets: Secrets) -> list[Line]:
    """Shown with references, real with their values; one that spans lines stays a reference on both sides."""
    lines = _split(new, ended=wanted.endswith("\n"))
    shown = mask_lines([text for text, _ in lines])
    single = {text: secret for text, secret in secrets.items() if "\n" not in secret.reveal()}
    real = [fill_references(text, lambda reference: _value(reference, single)) for text, _ in lines]
    return [Line(value, _show(text), ended) for value, text, (_, ended) in zip(real, shown, lines, strict=True)]


def _host_lines(old: str, secrets: Secrets) -> list[Line]:
    """Shown with references where a known value stands, masked where a value looks secret."""
    lines = _split(_put_references(old, secrets, spanning_lines=True), ended=old.endswith("\n"))
    redactor = Redactor(secrets.values())
    named = [_put_references(text, secrets, spanning_lines=False) for text, _ in lines]
    shown = [redactor.mask(text) for text in mask_lines(named)]
    return [Line(real, _show(text), ended) for (real, ended), text in zip(lines, shown, strict=True)]


def _put_references(text: str, secrets: Secrets, *, spanning_lines: bool) -> str:
    """The text with known values replaced by their references, longest first, so that none breaks another."""
    values = {secret.reveal(): name for name, secret in secrets.items()}
    wanted = [value for value in values if value and ("\n" in value) is spanning_lines]
    if not wanted:
        return text
    pattern = "|".join(_find_value(value) for value in sorted(wanted, key=len, reverse=True))
    return re.sub(pattern, lambda match: values[match[0]], text)


def _find_value(value: str) -> str:
    """Its pattern: a short one only where it stands alone, as in `redact`."""
    return re.escape(value) if len(value) >= SHORT else rf"(?<!\w){re.escape(value)}(?!\w)"


def _value(reference: Reference, secrets: Secrets) -> str:
    """Its value; the reference itself as long as nobody knows it, such as what a step will yet print."""
    return secrets[reference.text].reveal() if reference.text in secrets else reference.text


def _split(text: str, *, ended: bool) -> list[tuple[str, bool]]:
    """Lines without their newline, each with whether it has one on the host; the last one's is told by `ended`.

    Only LF ends a line: the rest is content.
    """
    *lines, last = text.split("\n")
    return [(line, True) for line in lines] + ([(last, ended)] if last else [])


def _show(text: str) -> str:
    """One line of a file that a terminal may print; a carriage return shows as \\r."""
    if len(text) > MAX_WIDTH:
        text = f"{text[:MAX_WIDTH]}... ({len(text)} characters)"
    return escape_controls(text)


# --- the diff ------------------------------------------------------------------------------------


def _diff(names: Sequence[str], before: Sequence[Line], after: Sequence[Line]) -> str:
    if len(before) + len(after) > MAX_LINES:
        return _join(*names, f"# long: {len(before)} lines -> {len(after)} lines")
    # autojunk stays on: without it two files of 2,000 alike lines take minutes.
    matcher = SequenceMatcher(None, [_key(line) for line in before], [_key(line) for line in after])
    if not before and not after:
        return _join(*names, "# an empty file")
    hunks = [text for group in matcher.get_grouped_opcodes(CONTEXT) for text in _hunk(group, before, after)]
    return _join(*names, *(hunks or ["# differs only where values are masked"]))


def _hunk(group: Sequence[tuple[str, int, int, int, int]], before: Sequence[Line], after: Sequence[Line]) -> list[str]:
    old, new = _range(group[0][1], group[-1][2]), _range(group[0][3], group[-1][4])
    lines = [f"@@ -{old} +{new} @@"]
    for kind, old_start, old_end, new_start, new_end in group:
        if kind == "equal":
            lines += _mark(" ", after[new_start:new_end])
        else:
            lines += [*_mark("-", before[old_start:old_end]), *_mark("+", after[new_start:new_end])]
    return lines


def _mark(sign: str, lines: Sequence[Line]) -> Iterator[str]:
    for line in lines:
        yield sign + line.shown
        if not line.ended:
            yield NO_NEWLINE


def _range(start: int, end: int) -> str:
    """Line numbers as in `diff -u`: of an empty range the line before it."""
    length = end - start
    if length == 1:
        return f"{start + 1}"
    return f"{start + 1 if length else start},{length}"


def _key(line: Line) -> tuple[str, bool]:
    return line.real, line.ended


def _is_binary(text: str) -> bool:
    """NUL, or much that was no UTF-8."""
    return "\0" in text or text.count("\ufffd") * 10 > len(text)


def _size(text: str | None) -> str:
    return "nothing" if text is None else f"{len(text.encode(errors='surrogatepass'))} bytes"


def _join(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


# --- documents --------------------------------------------------------------------------------------


def find_differences(wanted: object, actual: object, path: str = "") -> Iterator[str]:
    """Paths at which two documents differ, in both directions; nothing, and an empty list or mapping, are the same."""
    if isinstance(wanted, Mapping) and isinstance(actual, Mapping):
        for key in dict.fromkeys((*wanted, *actual)):
            yield from find_differences(wanted.get(key), actual.get(key), f"{path}.{key}" if path else str(key))
    elif _empty(wanted) != _empty(actual):
        yield path


def find_missing(wanted: object, actual: object, path: str = "") -> Iterator[str]:
    """Paths at which `actual` has not what `wanted` says; what only `actual` has, such as defaults, is passed over."""
    if isinstance(wanted, Mapping) and isinstance(actual, Mapping):
        for key, value in wanted.items():
            yield from find_missing(value, actual.get(key), f"{path}.{key}" if path else str(key))
    elif _empty(wanted) != _empty(actual):
        yield path


def _empty(value: object) -> object:
    return None if value in ([], {}, "") else value
