"""The add-ons that a cluster shall have: chosen, completed, in order, as commands. Pure; what is wrong is told elsewhere."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bootstrap.distros.microk8s.addon_arguments import (
    HOST_RESOLVERS,
    UnreadableArgumentsError,
    split_arguments,
    value_of,
)
from bootstrap.distros.microk8s.addon_forms import Addon, Ready
from bootstrap.distros.microk8s.addon_table import find_addon
from bootstrap.distros.microk8s.layout import MICROK8S, is_ha, is_offline
from bootstrap.distros.microk8s.network import DNS_OFFSET, DOMAIN, SERVICES, domain_of, service_address, services_of
from bootstrap.distros.microk8s.versions import series_of
from bootstrap.model import Inventory

CORE_REPOSITORY, COMMUNITY_REPOSITORY = "core", "community"
NETWORK = ("calico-node", "calico-kube-controllers")
WORKLOADS = ("deployment", "daemonset", "statefulset")


@dataclass(frozen=True)
class Chosen:
    """One add-on with its arguments. `known` is None for those of other repositories than the core's.

    `needed_by` names the add-on whose own script would enable it, where the inventory does not list it itself.
    """

    repository: str
    name: str
    words: tuple[str, ...] = ()
    known: Addon | None = None
    needed_by: str = ""

    @property
    def full_name(self) -> str:
        """With its repository: a bare name is refused where two repositories have it."""
        return f"{self.repository}/{self.name}"

    @property
    def enable(self) -> tuple[str, ...]:
        return (MICROK8S, "enable", self.full_name, *self.words)

    @property
    def disable(self) -> tuple[str, ...]:
        return (MICROK8S, "disable", self.full_name, *(self.known.disable if self.known else ()))

    @property
    def ready(self) -> tuple[Ready, ...]:
        """The objects that prove it; empty where none are known."""
        proofs = self.known.ready if self.known else ()
        return tuple(ready for ready in proofs if ready.unless not in self.words)


def split_name(name: str) -> tuple[str, str]:
    """Repository and name of an add-on as it is written; without a repository it is the core's."""
    repository, slash, rest = name.partition("/")
    return (repository, rest) if slash else (CORE_REPOSITORY, name)


def choose_addons(inventory: Inventory) -> tuple[Chosen, ...]:
    """Every add-on, in the order of the inventory but each behind what it needs; needed ones are put in."""
    listed = {chosen.full_name: chosen for chosen in _list_addons(inventory)}
    ordered: dict[str, Chosen] = {}
    for chosen in listed.values():
        _place(inventory, chosen, listed, ordered)
    return tuple(ordered.values())


def _list_addons(inventory: Inventory) -> Iterator[Chosen]:
    for addon in inventory.addons:
        repository, name = split_name(addon.name)
        try:
            yield _make(inventory, repository, name, split_arguments(addon.args))
        except UnreadableArgumentsError:  # told by the checks
            yield _make(inventory, repository, name)


def _make(inventory: Inventory, repository: str, name: str, words: Sequence[str] = (), needed_by: str = "") -> Chosen:
    known = find_addon(name, series_of(inventory)) if repository == CORE_REPOSITORY else None
    complete = complete_dns(inventory, words) if known and name == "dns" else tuple(words)
    return Chosen(repository, name, complete, known, needed_by)


def _place(inventory: Inventory, chosen: Chosen, listed: dict[str, Chosen], ordered: dict[str, Chosen]) -> None:
    if chosen.full_name in ordered:
        return
    for full_name in needs_of(chosen):
        repository, name = split_name(full_name)
        needed = listed.get(full_name) or _make(inventory, repository, name, needed_by=chosen.name)
        _place(inventory, needed, listed, ordered)
    ordered[chosen.full_name] = chosen


def needs_of(chosen: Chosen) -> tuple[str, ...]:
    """Full names of what must be there first."""
    if chosen.repository == COMMUNITY_REPOSITORY:
        return (f"{CORE_REPOSITORY}/{COMMUNITY_REPOSITORY}",)
    if chosen.known is None:
        return ()
    names = chosen.known.needs
    if chosen.name == "registry" and value_of(chosen.known, chosen.words, "--storageclass"):
        names = ()
    return tuple(f"{CORE_REPOSITORY}/{name}" for name in names)


def complete_dns(inventory: Inventory, words: Sequence[str]) -> tuple[str, ...]:
    """dns' words with the address and the domain that follow from `network`: it guesses them for the usual ranges only."""
    given = list(words)
    custom_domain = domain_of(inventory) != DOMAIN
    if len(given) < 2 and (custom_domain or services_of(inventory)[0] != SERVICES):
        given = [*(given or [HOST_RESOLVERS]), service_address(inventory, DNS_OFFSET)]
    if len(given) == 2 and custom_domain:
        given.append(domain_of(inventory))
    return tuple(given)


def dns_address(inventory: Inventory) -> str:
    """The address that kubelets give to pods as their name server; empty without the add-on dns."""
    found = next((each for each in choose_addons(inventory) if each.full_name == f"{CORE_REPOSITORY}/dns"), None)
    if found is None:
        return ""
    return found.words[1] if len(found.words) > 1 else service_address(inventory, DNS_OFFSET)


def list_repositories(inventory: Inventory) -> Iterator[tuple[str, ...]]:
    """The commands that make own add-on repositories known; with `--force` a second run is no error."""
    for name, repository in (inventory.native.get("repositories") or {}).items():
        reference = ("--reference", repository["reference"]) if repository.get("reference") else ()
        yield (MICROK8S, "addons", "repo", "add", name, repository["source"], *reference, "--force")


def list_workloads(inventory: Inventory) -> list[str]:
    """Workloads in kube-system that must be well: the pod network's and the add-ons'."""
    chosen = choose_addons(inventory)
    has_calico = is_ha(inventory) and all(each.name != "kube-ovn" for each in chosen)
    proofs = (ready for each in chosen for ready in each.ready)
    own = (ready.name for ready in proofs if ready.namespace == "kube-system" and ready.kind in WORKLOADS)
    return [*(NETWORK if has_calico else ()), *own]


def note_addons(inventory: Inventory) -> Iterator[tuple[str, str]]:
    """What people should know of the add-ons before they agree, and what to do about it."""
    chosen = choose_addons(inventory)
    for each in chosen:
        known = each.known
        if known is None:
            yield f"the add-on {each.full_name} is not known here: its arguments and what it brings are not checked", ""
            continue
        if each.needed_by:
            yield f"the add-on {each.name} is enabled too: {each.needed_by} needs it", "list it under `addons`"
        if known.wants_internet and is_offline(inventory):
            yield f"the add-on {each.name} fetches charts or manifests from the internet, and `offline` is on", ""
        if each.name == "hostpath-storage" and len(inventory.hosts) > 1:
            yield (
                "volumes of hostpath-storage stay on the node where they were made",
                "pods with one are bound to that node",
            )
    if all(each.name != "rbac" for each in chosen):
        yield "without the add-on rbac the API allows everything to everybody who has a token", "add `rbac` to `addons`"
