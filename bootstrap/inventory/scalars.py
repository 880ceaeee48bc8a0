"""What an unquoted YAML scalar means, and which ones YAML readers disagree about. Pure."""

import re
from dataclasses import dataclass

NULLS = frozenset({"", "~", "null", "Null", "NULL"})
TRUE = frozenset({"true", "True", "TRUE"})
FALSE = frozenset({"false", "False", "FALSE"})
# Booleans in YAML 1.1 (PyYAML, the k3s configuration reader), text in YAML 1.2 (editors).
YES = frozenset({"y", "Y", "yes", "Yes", "YES", "on", "On", "ON"})
NO = frozenset({"n", "N", "no", "No", "NO", "off", "Off", "OFF"})

INTEGER = r"[-+]?(0|[1-9][0-9]{0,17})"
FLOAT = r"-?(0|[1-9][0-9]{0,8})\.[0-9]{1,9}"
# (pattern, what readers make of it): each of these is text to one reader and something else to another.
DISPUTED: tuple[tuple[str, str], ...] = (
    (r"[-+]?0[0-7_]+", "an octal number"),
    (r"[-+]?0[0-9]+", "a number without its leading zero"),
    (r"[-+]?0o[0-7_]+", "an octal number"),
    (r"[-+]?0x[0-9a-fA-F_]+", "a hexadecimal number"),
    (r"[-+]?0b[01_]+", "a binary number"),
    (r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?", "a number to the base of 60"),
    (r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \t].*)?", "a date"),
    (r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "a special number"),
    (r"[-+]?([0-9][0-9_]*(\.[0-9_]*)?|\.[0-9][0-9_]*)([eE][-+]?[0-9]+)?", "a number"),
)


@dataclass(frozen=True)
class Disputed:
    """A scalar that readers disagree about: `text` as written, `reading` what some make of it."""

    text: str
    reading: str
    advice: str


def read_plain(text: str) -> str | int | float | bool | Disputed | None:
    """The value of an unquoted scalar, the same in every YAML reader; Disputed where there is none."""
    if text in NULLS:
        return None
    if text in TRUE or text in FALSE:
        return text in TRUE
    if text in YES or text in NO:
        meaning = "true" if text in YES else "false"
        return Disputed(text, f"the boolean {meaning}", f'write "{text}" in quotes for the text, or {meaning}')
    if text[0] not in "-+.0123456789":
        return text
    return read_number(text)


def read_number(text: str) -> str | int | float | Disputed:
    """The number that every reader sees, text where nobody sees one, else Disputed."""
    if re.fullmatch(INTEGER, text):
        return int(text)
    if re.fullmatch(FLOAT, text) and repr(float(text)) == text:
        return float(text)
    reading = next((reading for pattern, reading in DISPUTED if re.fullmatch(pattern, text)), None)
    if reading is None:
        return text
    return Disputed(text, describe_number(text, reading), f'write "{text}" in quotes')


def describe_number(text: str, reading: str) -> str:
    """The reading with its outcome where that surprises: 0644 becomes 420, and 1.30 becomes 1.3."""
    if reading == "an octal number" and re.fullmatch(r"0[0-7]+", text):
        return f"the number {int(text, 8)}"
    if re.fullmatch(FLOAT, text):
        return f"the number {float(text)}"
    return reading
