"""What `bootstrap trust` shows and pins, for the hosts of an inventory. Reads hosts, writes known_hosts only."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bootstrap.errors import TransportError, UsageError
from bootstrap.model import Host
from bootstrap.session import Session

if TYPE_CHECKING:
    from bootstrap.transport.settings import SshSettings
    from bootstrap.trust import ScannedKey


@dataclass(frozen=True)
class Offer:
    """One server on the way to a host: what it shows, and whether the person may pin it."""

    host: str
    text: str
    key: "ScannedKey | None" = None
    failed: bool = False

    @property
    def can_be_pinned(self) -> bool:
        return self.key is not None


def find_offers(session: Session, hosts: Sequence[str], replaced: Sequence[str]) -> list[Offer]:
    """Scan hosts (all without names) and what lies on the way to them; a jump goes by its address.

    Raises UsageError for a name that is neither.
    """
    from bootstrap.transport.settings import load_settings

    known = {host.name: host for host in session.inventory.hosts}
    names = tuple(dict.fromkeys((*hosts, *replaced)))
    jumps = [name for name in names if name not in known]
    wanted = list(known.values()) if jumps or not names else [known[name] for name in names]
    settings = load_settings(session.known_hosts_path, ask=session.ask)
    with ThreadPoolExecutor(max_workers=16) as pool:
        found = list(pool.map(lambda host: list(_scan(host, settings, replaced)), wanted))
    offers = {offer.host: offer for offers in found for offer in offers}
    for name in jumps:
        if name not in offers:
            raise UsageError(f"the inventory has no host or jump {name}", next_step=f"it has: {', '.join(offers)}")
    return [offer for offer in offers.values() if not jumps or offer.host in names]


def _scan(host: Host, settings: "SshSettings", replaced: Sequence[str]) -> Iterable[Offer]:
    from bootstrap.trust import hops, scan

    for name, connection in hops(host.name, host.connection, settings):
        try:
            yield _offer(scan(name, connection, settings), replaced)
        except TransportError as error:
            yield Offer(name, str(error), failed=True)
            return


def _offer(scanned: "ScannedKey", replaced: Sequence[str]) -> Offer:
    name, shown = scanned.name, f"{scanned.name:<16} {scanned.key.type:<20} {scanned.fingerprint}"
    if scanned.is_pinned:
        return Offer(name, f"{shown}  is pinned already")
    if not scanned.is_changed:
        return Offer(name, shown, scanned)
    pinned = ", ".join(key.fingerprint for key in scanned.pinned)
    if name in replaced:
        return Offer(name, f"{shown}  replaces {pinned}", scanned)
    text = f"{shown}\n  another key is pinned: {pinned}\n  after a reinstall: bootstrap trust --replace {name}"
    return Offer(name, text, failed=True)


def pin_offers(session: Session, offers: Iterable[Offer]) -> None:
    """Write the pins; an offer whose key replaces another was asked for by name."""
    from bootstrap.trust import pin

    for offer in offers:
        if offer.key is not None:
            pin(session.known_hosts_path, offer.key, overwrite=True)
