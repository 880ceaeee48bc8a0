"""Checks the inventory's add-ons against what is known of them in this minor. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from bootstrap.distros.microk8s.addon_arguments import (
    HOST_RESOLVERS,
    UnreadableArgumentsError,
    check_arguments,
    read_range,
    sort_arguments,
    split_arguments,
)
from bootstrap.distros.microk8s.addon_forms import Addon
from bootstrap.distros.microk8s.addon_table import CLASSIC_COMMUNITY, COMMUNITY, find_addon, list_spans, names_in
from bootstrap.distros.microk8s.addons import COMMUNITY_REPOSITORY, CORE_REPOSITORY, split_name
from bootstrap.distros.microk8s.layout import is_ha
from bootstrap.distros.microk8s.network import domain_of, pods_of, services_of
from bootstrap.distros.microk8s.versions import Series, is_strict, series_of
from bootstrap.driver import NativeProblem
from bootstrap.model import Inventory
from bootstrap.sections import Path, has_reference, suggest

DNS_DOMAIN = (1, 33)  # the add-on takes a domain from here on
Found = tuple[str, str]


def check_addons(inventory: Inventory) -> Iterator[NativeProblem]:
    """Problems of `addons`, in its order."""
    seen: dict[str, str] = {}
    for index, item in enumerate(inventory.document.get("addons") or ()):
        if item is None:
            continue
        is_plain = not isinstance(item, Mapping)
        path: Path = ("addons", index) if is_plain else ("addons", index, "name")
        written = str(item if is_plain else item.get("name", ""))
        if found := _check_name(inventory, written) or _check_twice(written, seen):
            yield NativeProblem(path, *found)
            continue
        args = None if is_plain else item.get("args")
        where: Path = ("addons", index, "args") if args is not None else path
        yield from (NativeProblem(where, *found) for found in _check_args(inventory, written, args))
    yield from _check_domain(inventory)


# --- names ---------------------------------------------------------------------------------------


def _check_name(inventory: Inventory, written: str) -> Found | None:
    if inline := re.match(r"([\w./-]+?)(?::|\s+)(.+)", written):
        hint = f'write {{name: {inline[1]}, args: "{inline[2]}"}}'
        return f"`{written}` is an add-on and its arguments in one word", hint
    if written.count("/") > 1:
        return f"`{written}` is no add-on: those read NAME or REPOSITORY/NAME", ""
    repository, name = split_name(written)
    if repository == CORE_REPOSITORY:
        return _check_core(inventory, name)
    if repository == COMMUNITY_REPOSITORY:
        return _check_community(inventory, name)
    own = inventory.native.get("repositories") or {}
    if repository in own:
        return None
    hint = suggest(repository, [*own, CORE_REPOSITORY, COMMUNITY_REPOSITORY])
    return f"there is no add-on repository `{repository}`", hint or "name it under `microk8s.repositories`"


def _check_core(inventory: Inventory, name: str) -> Found | None:
    series = series_of(inventory)
    addon = find_addon(name, series)
    if addon is None:
        return _explain_unknown(inventory, name, series)
    if addon.dead:
        hint = f"write `{addon.hint}`" if find_addon(addon.hint, series) else addon.hint
        return f"the add-on `{name}` {addon.dead}", hint
    if addon.is_classic and is_strict(inventory):
        return f"the add-on `{name}` works with classic confinement only", f'take version: "{series[0]}.{series[1]}"'
    arches = [host.arch for host in inventory.hosts]
    if all(arches) and not set(arches) & set(addon.arches):
        return f"the add-on `{name}` is for {', '.join(addon.arches)} only, and no host is", "leave it out"
    if name == "kube-ovn" and not is_ha(inventory):
        return "the add-on `kube-ovn` needs the ha-cluster that `microk8s.ha: false` turns off", "leave `ha` out"
    return None


def _explain_unknown(inventory: Inventory, name: str, series: Series) -> Found:
    minor = f"{series[0]}.{series[1]}"
    if spans := list(list_spans(name)):
        end = spans[-1].before
        if end and end <= series:
            return (
                f"the add-on `{name}` is gone since {end[0]}.{end[1]}",
                "install it by its own chart, or leave it out",
            )
        first = spans[0].since
        return f"MicroK8s {minor} has no add-on `{name}`: it came with {first[0]}.{first[1]}", ""
    if name in COMMUNITY:
        return f"the add-on `{name}` is the community's", f"write `{COMMUNITY_REPOSITORY}/{name}`"
    hint = suggest(name.lower(), [*names_in(series), *COMMUNITY])
    if not hint and (own := inventory.native.get("repositories")):
        hint = f"is it one of your own? Write `{next(iter(own))}/{name}`"
    return f"MicroK8s {minor} has no add-on `{name}`", hint or f"known are {', '.join(names_in(series))}"


def _check_community(inventory: Inventory, name: str) -> Found | None:
    if name in CLASSIC_COMMUNITY and is_strict(inventory):
        return f"the add-on `{name}` works with classic confinement only", "take a track without -strict"
    hint = suggest(name, COMMUNITY)
    if name not in COMMUNITY and hint:  # one that is new there has no likeness here
        return f"the community has no add-on `{name}`", hint
    return None


def _check_twice(written: str, seen: dict[str, str]) -> Found | None:
    repository, name = split_name(written)
    before = seen.setdefault(name, repository)
    if before != repository:
        message = f"`{name}` stands here from two repositories, {before} and {repository}: both bring the same objects"
        return message, "keep one of them"
    seen_before = seen.setdefault(f"{repository}/{name}", written)
    if seen_before is not written:
        return f"the add-on `{name}` stands here twice", "keep one of them: arguments of the second are passed over"
    return None


# --- arguments -----------------------------------------------------------------------------------


def _check_args(inventory: Inventory, written: str, args: Any) -> Iterator[Found]:  # noqa: ANN401
    if any(has_reference(each) for each in (args if isinstance(args, list) else [args])):
        message = "arguments of add-ons stand on a command line, where every user of the host can read them"
        yield message, "write the value itself, or put the secret into the cluster and name it"
        return
    try:
        split = split_arguments(args)
    except UnreadableArgumentsError as error:
        yield error.found
        return
    repository, name = split_name(written)
    addon = find_addon(name, series_of(inventory)) if repository == CORE_REPOSITORY else None
    if addon is None:
        return
    problems = list(check_arguments(addon, series_of(inventory), split))
    yield from problems or _check_meaning(inventory, addon, split)


def _check_meaning(inventory: Inventory, addon: Addon, given: Sequence[str]) -> Iterator[Found]:
    words = sort_arguments(addon, given).words
    if addon.name == "metallb":
        for text in words[0].split(","):
            yield from _check_pool(inventory, text)
    elif addon.name == "dns":
        yield from _check_dns(inventory, words)


def _check_pool(inventory: Inventory, text: str) -> Iterator[Found]:
    """A pool's addresses are nobody's: no host's, not the endpoint's, and not the cluster's own."""
    first, last = read_range(text)
    for name, address in _taken(inventory):
        if address.version == first.version and int(first) <= int(address) <= int(last):
            yield f"the range {text} holds {address}, the address of {name}", "take addresses that nobody has"
            return
    for kind, ranges in (("pods", pods_of(inventory)), ("services", services_of(inventory))):
        for each in map(ip_network, ranges):
            if each.version == first.version and int(first) <= int(each[-1]) and int(each[0]) <= int(last):
                yield f"the range {text} overlaps {each}, the range of {kind}", "take addresses of your own network"
                return


def _taken(inventory: Inventory) -> Iterator[tuple[str, Any]]:
    places = [
        (f"`{host.name}`", text) for host in inventory.hosts for text in (*host.node_addresses, host.connection.address)
    ]
    places += [(f"`{other.name}`", other.address) for other in inventory.others]
    if inventory.endpoint:
        places.append(("the endpoint", inventory.endpoint.host))
    for name, text in places:
        try:
            yield name, ip_address(text)
        except ValueError:
            continue


def _check_dns(inventory: Inventory, words: Sequence[str]) -> Iterator[Found]:
    servers = words[0].split(",") if words and words[0] != HOST_RESOLVERS else []
    loop = next((text for text in servers if ip_address(text).is_loopback), "")
    if loop:
        yield (
            f"`{loop}` is each pod itself: a name server needs an address of its own",
            "leave `args` out for the host's own",
        )
    if len(words) > 1 and all(ip_address(words[1]) not in ip_network(each) for each in services_of(inventory)):
        ranges = " and ".join(services_of(inventory))
        yield (
            f"`{words[1]}` is outside of the service range {ranges}",
            "leave it out: it follows from `network.services`",
        )
    if len(words) > 2 and words[2] != domain_of(inventory):
        yield f"the domain `{words[2]}` is not that of `network.domain`, {domain_of(inventory)}", "give it there alone"


def _check_domain(inventory: Inventory) -> Iterator[NativeProblem]:
    listed = [split_name(addon.name)[1] for addon in inventory.addons]
    if inventory.network.domain and series_of(inventory) < DNS_DOMAIN and "dns" in listed:
        since = f"{DNS_DOMAIN[0]}.{DNS_DOMAIN[1]}"
        if domain_of(inventory) != "cluster.local":
            message = (
                f"the add-on `dns` of {inventory.version} serves cluster.local only: it takes a domain since {since}"
            )
            yield NativeProblem(("network", "domain"), message, f"take {since} or later, or leave it out")
