"""When certificates end: PEM text in, checks out. Pure, and no more of X.509 than that.

Libraries refuse certificates that clusters really have (k3s' own authorities have the serial number 0), and all that
is asked here is one date.
"""

import base64
import re
from collections.abc import Iterator
from datetime import UTC, datetime

from bootstrap.cluster_state import shorten
from bootstrap.model import Check

NOTE_DAYS = 30
ERROR_DAYS = 7

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
_VERSION, _UTC_TIME = 0xA0, 0x17


def judge_certificates(host: str, text: str, clock: str, renewal: str) -> Check:
    """No certificate of a host ends within a week; the soonest is shown.

    `text` holds `file 0 <path>` lines, each followed by PEM; `clock` is the host's own, in epoch seconds.
    """
    if not clock.isdigit():
        return Check("certificates", ok=False, detail="the host said nothing about them", subject=host)
    try:
        ends = [(expiry, path) for path, pem in split_files(text) for expiry in read_expiries(path, pem)]
    except ValueError as error:
        return Check("certificates", ok=False, detail=str(error), subject=host)
    if not ends:
        return Check("certificates", ok=False, detail="none was found", subject=host)
    end, path = min(ends)
    days = (end - datetime.fromtimestamp(int(clock), UTC)).days
    when = f"expired on {end:%Y-%m-%d}" if days < 0 else f"the first expires on {end:%Y-%m-%d}"
    soon = f", in {days} days" if 0 <= days < NOTE_DAYS else ""
    cure = f": {renewal}" if days < NOTE_DAYS and renewal else ""
    return Check("certificates", days >= ERROR_DAYS, f"{when}{soon} ({path}){cure}", subject=host)


def split_files(text: str) -> list[tuple[str, str]]:
    """(path, PEM) for each file in which a certificate was found."""
    parts = f"\n{text}".split("\nfile 0 ")[1:]
    return [(path.strip(), pem) for path, _, pem in (part.partition("\n") for part in parts) if _PEM.search(pem)]


def read_expiries(path: str, pem: str) -> list[datetime]:
    """When each certificate of a PEM text ends. Raises ValueError."""
    try:
        return [read_expiry(base64.b64decode(body)) for body in _PEM.findall(pem)]
    except (ValueError, StopIteration) as error:
        raise ValueError(f"{path} can't be read: {shorten(str(error))}") from error


def read_expiry(certificate: bytes) -> datetime:
    """`notAfter` of a certificate in DER (RFC 5280, 4.1). Raises ValueError."""
    [(_, whole)] = _read_elements(certificate)
    _, signed = next(_read_elements(whole))
    serial_and_on = [value for tag, value in _read_elements(signed) if tag != _VERSION]
    if len(serial_and_on) < 4:
        raise ValueError("it is no certificate")
    _, (kind, end) = _read_elements(serial_and_on[3])  # after serial number, signature and issuer
    return _read_time(kind, end.decode("ascii"))


def _read_time(kind: int, text: str) -> datetime:
    """Years of two digits are those from 1950 to 2049."""
    if kind == _UTC_TIME:
        text = ("19" if text >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _read_elements(content: bytes) -> Iterator[tuple[int, bytes]]:
    """(tag, value), one after the other. Raises ValueError when one is cut off."""
    while content:
        header = 2 + (content[1] & 0x7F if content[1:2] > b"\x80" else 0)  # a long length has bytes of its own
        length = int.from_bytes(content[2:header] or content[1:2], "big")
        if len(content) < header + length:
            raise ValueError("it is cut off")
        yield content[0], content[header : header + length]
        content = content[header + length :]
