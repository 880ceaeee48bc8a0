"""Signatures of upstream's files, by a public key that the repository pins (cosign's, ECDSA over SHA-256). Reads, never writes."""

import base64
import binascii
from collections.abc import Iterable, Sequence
from pathlib import Path

from bootstrap.driver import UpstreamFile
from bootstrap.errors import LockError
from bootstrap.mirror import find_in_folder, is_web, list_addresses
from bootstrap.model import LockedFile
from bootstrap.web import MissingError, WebError, read_small

_LARGEST = 1 << 16  # bytes


def check_signatures(
    wanted: Sequence[UpstreamFile], locked: Iterable[LockedFile], version: str, mirror: str | None, root: Path
) -> None:
    """Raises LockError for a locked file whose signature is missing, or not by the key that the inventory pins.

    A signature is over the file's sha256, so nothing is downloaded for it but the signature itself.
    """
    keys = {(file.name, file.arch): file.signed_by for file in wanted if file.signed_by}
    for file in locked:
        key = keys.get((file.name, file.arch))
        if key:
            _check(file, root / key, _read_signature(file, version, mirror))


def _check(file: LockedFile, key_file: Path, signature: str) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    try:
        key = serialization.load_pem_public_key(key_file.read_bytes())
    except (OSError, ValueError) as error:
        raise LockError("the signing key can't be read", where=str(key_file), why=str(error)) from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise LockError("the signing key is no ECDSA key", where=str(key_file), next_step="take upstream's cosign.pub")
    try:
        signed = base64.b64decode(signature.strip(), validate=True)
        key.verify(signed, bytes.fromhex(file.sha256), ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    except (InvalidSignature, binascii.Error, ValueError) as error:
        raise LockError(
            f"{file.file_name} is not signed by the key of the inventory",
            where=f"{file.url}.sig",
            why=f"its sha256 is {file.sha256}",
            next_step="compare the key with upstream's cosign.pub; do not go on before it is understood",
        ) from error


def _read_signature(file: LockedFile, version: str, mirror: str | None) -> str:
    url = f"{file.url}.sig"
    try:
        return _read(url, version, mirror)
    except WebError as error:
        raise LockError(
            f"{file.file_name} has no signature that can be read",
            where=error.where,
            why=error.why,
            next_step="the mirror must hold its .sig as well; or leave the key out of the inventory",
        ) from error


def _read(url: str, version: str, mirror: str | None) -> str:
    if mirror is None:
        return read_small(url, limit=_LARGEST).decode("ascii", "replace")
    if not is_web(mirror):
        found = find_in_folder(mirror, version, url)
        if found is None:
            raise MissingError("no such file in the mirror", where=mirror, why=url.rpartition("/")[2])
        return found.read_text("ascii", "replace")
    for address in list_addresses(mirror, version, url):
        try:
            return read_small(address, limit=_LARGEST).decode("ascii", "replace")
        except MissingError:
            continue
    raise MissingError("no such file in the mirror", where=mirror, why=url.rpartition("/")[2])
