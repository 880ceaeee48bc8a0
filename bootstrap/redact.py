"""What may not be shown: secrets in every spelling, values whose key says secret, control characters. No I/O."""

import base64
import json
import re
import shlex
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

from bootstrap.model import Secret
from bootstrap.references import PATTERN

MASK = "******"

# --- known secrets -------------------------------------------------------------------------------

SHORT = 4  # a value below this is masked only where it stands alone: else "a" would take all text with it
PIECE = re.compile(r"[A-Za-z0-9+/=_-]{16,}")


@dataclass(frozen=True)
class Form:
    """One spelling of a secret. `left` and `right`: neighbours that hold bits of it too (base64 out of step)."""

    text: str
    left: bool = False
    right: bool = False
    alone: bool = False  # masked only between characters that are no part of a word

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where it stands in the text, overlapping ones too."""
        start = text.find(self.text)
        while start >= 0:
            end = start + len(self.text)
            if not self.alone or _stands_alone(text, start, end):
                yield self._grow(text, start, end)
            start = text.find(self.text, start + 1)

    def _grow(self, text: str, start: int, end: int) -> tuple[int, int]:
        if self.left and start and _is_base64(text[start - 1]):
            start -= 1
        if self.right and end < len(text) and _is_base64(text[end]):
            end += 1
            while end < len(text) and text[end] == "=":
                end += 1
        return start, end


class Redactor:
    """Masks secrets in text. Safe to share between threads; `add` takes effect for every later `mask`."""

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        self._lock = threading.Lock()
        self._forms: frozenset[Form] = frozenset()
        self.add(*secrets)

    def add(self, *secrets: Secret) -> None:
        forms = frozenset(form for secret in secrets for form in _forms(secret.reveal()))
        with self._lock:
            self._forms |= forms

    def mask(self, text: str) -> str:
        """The text with each secret as `******`, in clear or as base64, JSON, YAML, shell or URL text."""
        spans = sorted(span for form in self._forms for span in form.spans(text))
        parts, position = [], 0
        for start, end in _merge(spans):
            parts += [text[position:start], MASK]
            position = end
        return "".join([*parts, text[position:]])


def _merge(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sorted spans with those that touch or overlap made one, so that no rest of a secret stays between two."""
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _forms(secret: str) -> Iterator[Form]:
    value = secret.strip()
    if not value.strip("*"):
        return
    if len(value) < SHORT:
        yield from (Form(text, alone=True) for text in {value, base64.b64encode(_bytes(value)).decode()})
        return
    for part in {value, *_pieces(value)}:
        yield from (Form(text) for text in _spellings(part))
        yield from _base64_forms(_bytes(part))
    for whole in {value, secret}:
        yield from (Form(line) for line in _wrapped_base64(_bytes(whole)))


def _pieces(value: str) -> Iterator[str]:
    """Parts that are secret on their own: the long words of a key file, what stands behind `K10...::server:`."""
    yield from (piece for piece in PIECE.findall(value) if re.search("[0-9]", piece) and re.search("[A-Za-z]", piece))
    _, colons, password = value.partition("::")
    password = password.rpartition(":")[2]
    if colons and len(password) >= SHORT:
        yield password


def _spellings(value: str) -> set[str]:
    json_text = json.dumps(value, ensure_ascii=False)[1:-1]
    go_text = re.sub("[<>&]", lambda match: f"\\u{ord(match[0]):04x}", json_text)  # encoding/json escapes for HTML
    urls = {
        quote(value, safe="", errors="surrogatepass"),
        quote(value, errors="surrogatepass"),
        quote_plus(value, errors="surrogatepass"),
    }
    return {
        value,
        json_text,
        go_text,
        json.dumps(value)[1:-1],
        repr(value)[1:-1],
        value.replace("'", "''"),
        value.replace("'", "'\\''"),
        _without_quotes(shlex.quote(value)),
        re.sub(r'([\\"$`])', r"\\\1", value),
        re.sub(r"([^\w@%+=:,./-])", r"\\\1", value),
        *urls,
        *(re.sub("%..", lambda match: match[0].lower(), url) for url in urls),
    }


def _without_quotes(word: str) -> str:
    return word[1:-1] if word.startswith("'") and word.endswith("'") else word


def _base64_forms(value: bytes) -> Iterator[Form]:
    """The characters that depend on the value alone, for each of the three places it can begin in a group."""
    for before in range(3):
        bits = 8 * (before + len(value))
        text = base64.b64encode(bytes(before) + value).decode()[-(-8 * before // 6) : bits // 6]
        for spelling in {text, text.replace("+", "-").replace("/", "_")}:
            yield Form(spelling, left=before > 0, right=bits % 6 > 0)


def _wrapped_base64(value: bytes) -> Iterator[str]:
    text = base64.b64encode(value).decode()
    for width in (64, 76):
        lines = (text[start : start + width] for start in range(0, len(text), width))
        yield from (line for line in lines if len(line) >= 16)


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def _is_base64(letter: str) -> bool:
    return letter.isascii() and (letter.isalnum() or letter in "+/-_")


def _stands_alone(text: str, start: int, end: int) -> bool:
    around = text[start - 1 : start] + text[end : end + 1]
    return not any(letter.isalnum() or letter == "_" for letter in around)


# --- values whose key says secret ----------------------------------------------------------------

_NAMES = (
    r"token|passw(?:or)?d|passphrase|secret|secret[-_]?key|access[-_]?key|api[-_]?key|private[-_]?key"
    r"|encryption[-_]?key|key[-_ ]?data|tls[._-]key|auth|authorization|credentials?"
)
_KEY = rf"[\w.-]*?(?:{_NAMES})"
_LINE = re.compile(rf"""^(?P<head>\s*(?:-\s+)*(?:export\s+)?["']?{_KEY}["']?\s*[:=]\s*)(?P<value>\S.*)$""", re.I)
_INLINE = re.compile(
    rf"""(?P<head>(?:(?<=[{{,\s"'])|^){_KEY}["']?\s*[:=]\s*|--{_KEY}[=\s]\s*)(?P<value>"[^"]*"|'[^']*'|[^\s,{{}}\[\]"']+)""",
    re.I,
)
_URL = re.compile(r"(?P<head>\w://[^\s/:@]*:)(?P<value>[^\s/@]+)(?=@)")
_BLOCK = re.compile(r"[|>][-+0-9]*\s*(?:#.*)?$")
_SECRET_KIND = re.compile(r"""^\s*["']?kind["']?\s*:\s*["']?Secret["']?\s*,?\s*$""", re.M)
_SECRET_BODY = re.compile(r"^(\s*)(?:data|stringData):\s*$")
_ANY_KEY = re.compile(r"^(?P<head>\s*[^\s:#][^:]*:\s+)(?P<value>\S.*)$")
_PEM_BEGIN = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_PEM_END = re.compile(r"-----END [A-Z ]*PRIVATE KEY-----")


def mask_lines(lines: Sequence[str]) -> list[str]:
    """The same lines with values masked that look secret by their key or place; references stay as they are.

    For text whose secrets are not known: files that lie on a host, native keys written in clear. Covers
    `key: value`, `KEY=value`, `--key value`, flow style, block scalars, private keys in PEM, user:password@ in
    URLs, and the data of a Kubernetes Secret.
    """
    masker = _LineMasker(is_secret_kind=bool(_SECRET_KIND.search("\n".join(lines))))
    return [masker.mask(line) for line in lines]


def mask_urls(text: str) -> str:
    """The text with each password in a URL masked."""
    return _URL.sub(_mask_value, text)


class _LineMasker:
    """Goes down a file and knows whether the current line belongs to a secret that began above."""

    def __init__(self, *, is_secret_kind: bool) -> None:
        self._is_secret_kind = is_secret_kind
        self._block: int | None = None  # indentation of the key whose block scalar we are in
        self._body: int | None = None  # indentation of data: of a Secret
        self._in_pem = False

    def mask(self, line: str) -> str:
        depth = len(line) - len(line.lstrip(" "))
        if line.strip() and self._block is not None and depth <= self._block:
            self._block = None
        if line.strip() and self._body is not None and depth <= self._body:
            self._body = None
        if self._block is not None or self._passes_pem(line):
            return _mask_whole(line)
        return self._mask_open(line, depth)

    def _mask_open(self, line: str, depth: int) -> str:
        body = _SECRET_BODY.match(line)
        if body and self._is_secret_kind:
            self._body = depth
            return line
        match = _LINE.match(line) or (_ANY_KEY.match(line) if self._body is not None else None)
        if match and _BLOCK.match(match["value"]):
            self._block = depth
            return line
        if match and match["value"][0] not in "{[":
            return _mask_value(match)
        return mask_urls(_INLINE.sub(_mask_value, line))

    def _passes_pem(self, line: str) -> bool:
        """True inside of a private key; its first and last line may be seen."""
        if _PEM_END.search(line):
            self._in_pem = False
        elif _PEM_BEGIN.search(line):
            self._in_pem = True
            return False
        return self._in_pem


def _mask_whole(line: str) -> str:
    return line if not line.strip() or PATTERN.search(line) else line[: len(line) - len(line.lstrip())] + MASK


def _mask_value(match: re.Match[str]) -> str:
    value = match["value"]
    if PATTERN.search(value) or value.strip("\"'") in ("", "true", "false", "null", "~", "{}", "[]"):
        return match[0]
    return match["head"] + MASK


# --- control characters --------------------------------------------------------------------------


def escape_controls(text: str) -> str:
    """The text with characters that could steer or fool a terminal written as escapes; tabs and newlines stay."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or letter in "\t\n" else _escape(letter) for letter in text)


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape").decode()
