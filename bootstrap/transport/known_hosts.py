"""The index of pinned host keys: known_hosts text in, keys of a host out. No network; one small read of the file."""

import base64
import binascii
import fnmatch
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bootstrap.errors import BootstrapError

MARKERS = ("@revoked", "@cert-authority")


@dataclass(frozen=True)
class HostKey:
    """A public host key; `blob` is its SSH wire form (RFC 4253, section 6.6)."""

    type: str
    blob: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """As ssh-keygen -l prints it: `SHA256:` and base64 without padding."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")

    @property
    def text(self) -> str:
        """The two columns of a known_hosts line."""
        return f"{self.type} {base64.b64encode(self.blob).decode()}"


@dataclass(frozen=True)
class Line:
    """One entry of the file; `marker` is empty, `@revoked` or `@cert-authority`."""

    tokens: tuple[str, ...]
    key: HostKey
    marker: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether every token is a literal name."""
        return not any(token.startswith("|") or set(token) & set("*?!") for token in self.tokens)


@dataclass(frozen=True)
class Pins:
    """What the file says about one host."""

    keys: tuple[HostKey, ...] = ()
    revoked: tuple[HostKey, ...] = ()
    authorities: tuple[HostKey, ...] = ()

    @property
    def usable(self) -> tuple[HostKey, ...]:
        return tuple(key for key in self.keys if key not in self.revoked)


def token_of(address: str, port: int) -> str:
    """How a known_hosts file spells an address: bare on port 22, else `[address]:port`."""
    return address if port == 22 else f"[{address}]:{port}"


def parse_line(text: str) -> Line | None:
    """An entry; None for a comment or an empty line. Raises ValueError on anything else."""
    words = text.split()
    if not words or words[0].startswith("#"):
        return None
    marker = words.pop(0) if words[0].startswith("@") else ""
    if marker and marker not in MARKERS:
        raise ValueError(f"{marker} is not a marker of known_hosts")
    if len(words) < 3:
        raise ValueError("an entry has three columns: names, key type, key")
    names = (words[0],) if words[0].startswith("|") else tuple(words[0].lower().split(","))
    return Line(names, _key(*words[1:3]), marker)


def _key(type_: str, encoded: str) -> HostKey:
    try:
        blob = base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise ValueError("the key is not base64") from error
    inner = blob[4 : 4 + int.from_bytes(blob[:4], "big")]
    if inner != type_.encode():
        raise ValueError(f"the key is not of the type {type_}")
    return HostKey(type_, blob)


def _is_hash_of(token: str, name: str) -> bool:
    """Whether `|1|salt|hash` is HMAC-SHA1 of the name (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""
    try:
        _, version, salt, digest = token.split("|")
        wanted = base64.b64decode(digest)
        made = hmac.new(base64.b64decode(salt), name.encode(), hashlib.sha1).digest()
    except ValueError:
        return False
    return version == "1" and hmac.compare_digest(made, wanted)


def _matches(line: Line, name: str) -> bool:
    """sshd(8): a token with `!` that matches wins over all others."""
    if line.tokens[0].startswith("|"):
        return _is_hash_of(line.tokens[0], name)
    plain = [token for token in line.tokens if not token.startswith("!")]
    refused = [token[1:] for token in line.tokens if token.startswith("!")]
    return _any_matches(plain, name) and not _any_matches(refused, name)


def _any_matches(patterns: Iterable[str], name: str) -> bool:
    # fnmatch would take [host]:port for a set of letters
    return any(fnmatch.fnmatchcase(name, pattern.replace("[", "[[]")) for pattern in patterns)


class KnownHosts:
    """Parsed once, asked for every host: plain names by dictionary, only hashes and patterns by scan.

    A host is looked up by its inventory name first and only then by its address, so that a pin follows
    the machine when its address changes.
    """

    def __init__(self, lines: Iterable[Line] = ()) -> None:
        self._plain: dict[str, list[Line]] = {}
        self._others: list[Line] = []
        for line in lines:
            self._add(line)

    def _add(self, line: Line) -> None:
        if not line.is_plain:
            self._others.append(line)
            return
        for token in line.tokens:
            self._plain.setdefault(token, []).append(line)

    def pins(self, names: Iterable[str]) -> Pins:
        """The keys under the first of `names` that has any; revocations under all of them."""
        found = [self._lines(name.lower()) for name in dict.fromkeys(names)]
        keys = next((keys for keys in (_select(lines, "") for lines in found) if keys), ())
        every = [line for lines in found for line in lines]
        return Pins(keys, _select(every, "@revoked"), _select(every, "@cert-authority"))

    def _lines(self, name: str) -> list[Line]:
        return self._plain.get(name, []) + [line for line in self._others if _matches(line, name)]


def _select(lines: Iterable[Line], marker: str) -> tuple[HostKey, ...]:
    return tuple(dict.fromkeys(line.key for line in lines if line.marker == marker))


def parse(text: str, file: str = "known_hosts") -> KnownHosts:
    """The index of a file's text. Raises BootstrapError naming file and line."""
    lines = []
    for number, row in enumerate(text.splitlines(), 1):
        try:
            line = parse_line(row)
        except ValueError as error:
            place, cure = f"{file}:{number}", "remove or correct the line"
            raise BootstrapError("this entry can't be read", where=place, why=str(error), next_step=cure) from None
        if line:
            lines.append(line)
    return KnownHosts(lines)


def load(path: Path) -> KnownHosts:
    """The index of a file; a file that does not exist pins nothing. Raises BootstrapError."""
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        return KnownHosts()
    except (OSError, UnicodeDecodeError) as error:
        raise BootstrapError("the pinned host keys can't be read", where=str(path), why=str(error)) from None


def add_line(text: str, tokens: tuple[str, ...], key: HostKey) -> str:
    """The file's text with one line for a host, whose first token is its name; the rest stays as it is.

    The lines that carried the host's name go; its address leaves lines of other hosts. A new line goes to its
    sorted place.
    """
    new = f"{','.join(tokens)} {key.text}"
    rows: list[str] = []
    for row in text.splitlines():
        if tokens[0] not in _pinned_tokens(row):
            rows.extend(_without(row, tokens))
        elif new not in rows:
            rows.append(new)
    if new not in rows:
        rows.insert(_sorted_place(rows, new), new)
    return "\n".join(rows) + "\n"


def _pinned_tokens(row: str) -> tuple[str, ...]:
    """The names of an ordinary entry; empty for comments, markers, hashes and patterns."""
    try:
        line = parse_line(row)
    except ValueError:
        return ()
    return line.tokens if line and line.is_plain and not line.marker else ()


def _without(row: str, tokens: tuple[str, ...]) -> list[str]:
    """The row without these names; nothing when no name is left."""
    names = _pinned_tokens(row)
    if not set(names) & set(tokens):
        return [row]
    left = [name for name in names if name not in tokens]
    return [" ".join([",".join(left), *row.split()[1:]])] if left else []


def _sorted_place(rows: list[str], new: str) -> int:
    """Before the first entry that sorts after the new one, else at the end."""
    return next((index for index, row in enumerate(rows) if _pinned_tokens(row) and row > new), len(rows))


def describe(keys: Iterable[HostKey]) -> str:
    """Fingerprints with their types, for a person to compare."""
    return ", ".join(f"{key.fingerprint} ({key.type})" for key in keys)
