"""Pieces of terminal text: colours, tables, lists of hosts, numbers with their nouns. Pure."""

import re
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bootstrap.redact import escape_controls

WIDTH = 100


@dataclass(frozen=True)
class Paint:
    """Colours text, or leaves it alone (`PLAIN`)."""

    on: bool = False

    def _wrap(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.on and text else text

    def bold(self, text: str) -> str:
        return self._wrap("1", text)

    def dim(self, text: str) -> str:
        return self._wrap("2", text)

    def red(self, text: str) -> str:
        return self._wrap("31", text)

    def green(self, text: str) -> str:
        return self._wrap("32", text)

    def yellow(self, text: str) -> str:
        return self._wrap("33", text)

    def cyan(self, text: str) -> str:
        return self._wrap("36", text)


PLAIN = Paint()


def join_lines(lines: Iterable[str]) -> str:
    """Lines as text that ends with a newline; nothing gives nothing."""
    return "".join(f"{line if line.strip() else ''}\n" for line in lines)


def count(number: int, noun: str) -> str:
    """`1 host`, `3 hosts`, `2 entries`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun[:-1]}ies" if re.search("[^aeiou]y$", noun) else f"{number} {noun}s"


def measure(text: str) -> int:
    """Columns that the text takes on a terminal."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    narrow = sum(bool(unicodedata.combining(letter)) for letter in text)
    return len(text) + wide - narrow


def pad(text: str, width: int) -> str:
    return text + " " * (width - measure(text))


def wrap(text: str, *, indent: str, width: int, first: str = "") -> Iterator[str]:
    """A paragraph in lines of at most `width` columns, the first behind `first`; its own line breaks are kept.

    Words are never broken: a command or a path stays one piece for copying.
    """
    lead = indent + first
    rest = " " * len(lead)
    for line in escape_controls(text).expandtabs(4).splitlines() or [""]:
        hang = " " * (len(line) - len(line.lstrip()))
        pieces = textwrap.wrap(
            line.strip(), max(width - len(lead + hang), 20), break_long_words=False, break_on_hyphens=False
        )
        for piece in pieces or [""]:
            yield lead + hang + piece
            lead = rest


def list_hosts(hosts: Sequence[str], limit: int = 4) -> str:
    """`pi-1, pi-2`; beyond `limit` names runs of numbers are folded: `pi-{1..40}, nas`."""
    if len(hosts) <= limit:
        return ", ".join(hosts)
    return ", ".join(_fold_runs(hosts))


def _fold_runs(hosts: Sequence[str]) -> Iterator[str]:
    run: list[str] = []
    for host in [*hosts, ""]:
        if run and not _follows(run[-1], host):
            yield from _name_run(run)
            run = []
        run.append(host)


def _name_run(run: Sequence[str]) -> Iterator[str]:
    if len(run) < 3:
        yield from run
        return
    stem, first = _split_number(run[0])
    yield f"{stem}{{{first}..{_split_number(run[-1])[1]}}}"


def _follows(before: str, after: str) -> bool:
    stem, number = _split_number(before)
    next_stem, next_number = _split_number(after)
    if not number or stem != next_stem or not next_number:
        return False
    return next_number == str(int(number) + 1).zfill(len(number))


def _split_number(name: str) -> tuple[str, str]:
    digits = re.search(r"[0-9]*\Z", name)
    number = digits[0] if digits else ""
    return name[: len(name) - len(number)], number


def format_seconds(seconds: float) -> str:
    """`4.1 s`, `2 min 05 s`, `3 h 10 min`, `12 d`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 2 * 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86400} d"


def format_size(kilobytes: int) -> str:
    """kB of 1024 bytes as `812 kB`, `40 MB`, `12.3 GB`."""
    if kilobytes < 1024:
        return f"{kilobytes} kB"
    if kilobytes < 1024**2:
        return f"{kilobytes / 1024:.0f} MB"
    return f"{kilobytes / 1024**2:.1f} GB"


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, width: int) -> list[str]:
    """Columns two spaces apart; the last one wraps below itself when the line would pass `width`."""
    cells = [[escape_controls(cell) for cell in row] for row in [header, *rows]]
    widths = [max(measure(row[column]) for row in cells) for column in range(len(header) - 1)]
    lines = []
    for row in cells:
        start = "".join(pad(cell, size) + "  " for cell, size in zip(row, widths, strict=False))
        rest = " " * measure(start)
        for piece in wrap(row[-1], indent=rest, width=width):
            lines.append((start + piece[len(rest) :]).rstrip())
            start = rest
    return lines
