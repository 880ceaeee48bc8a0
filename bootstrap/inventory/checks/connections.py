"""How hosts are reached: addresses, ports, users, keys, jump hosts; no two hosts behind the same door."""

from collections.abc import Mapping

from bootstrap.inventory.draft import Draft, attempt
from bootstrap.inventory.layers import Placed, merge_ssh
from bootstrap.inventory.problems import Path, Problems, Tree
from bootstrap.inventory.ranges import Entry
from bootstrap.inventory.values import Unfit, parse_address, parse_jumps, parse_port, parse_user


def check_connections(draft: Draft, problems: Problems) -> None:
    for layer in draft.layers:
        check_ssh(layer.settings.get("ssh", {}), (*layer.path, "ssh"), problems)
    doors: dict[tuple[str, int], Entry] = {}
    for entry in draft.entries:
        path = (*entry.path, "address")
        address = entry.settings.get("address")
        if address is None or attempt(problems, path, parse_address, address) is None:
            continue
        layers = draft.layers_of(entry)
        if any(problems.touches((*layer.path, "ssh")) for layer in layers):
            continue
        ssh = merge_ssh(layers)
        door = (address.lower().rstrip("."), port_of(ssh))
        if door in doors:
            other = doors[door]
            message = f"`{entry.name}` and `{other.name}` have the same address and port: {door[0]} port {door[1]}"
            hint = f"the other one is on line {problems.line_of((*other.path, 'address'))}; hosts behind one address differ in `ssh: {{port: ...}}`"
            problems.add(path, message, hint)
        doors.setdefault(door, entry)
        check_way(entry, door, ssh, problems)


def check_ssh(ssh: Mapping[str, Tree], path: Path, problems: Problems) -> None:
    """The ssh settings of one layer."""
    if "port" in ssh:
        attempt(problems, (*path, "port"), parse_port, ssh["port"])
    if "user" in ssh:
        attempt(problems, (*path, "user"), parse_user, ssh["user"])
    if "jump" in ssh and not problems.touches((*path, "jump")):
        attempt(problems, (*path, "jump"), parse_jumps, ssh["jump"])
    if "key" in ssh and "keys" in ssh:
        problems.add_at_key((*path, "keys"), "`key` and `keys` are both given", "put every file into `keys`")
    for key_path, name in named_keys(ssh, path):
        attempt(problems, key_path, check_key_name, name)


def named_keys(ssh: Mapping[str, Tree], path: Path) -> list[tuple[Path, str]]:
    keys = [((*path, "keys", index), key) for index, key in enumerate(ssh.get("keys", ())) if key is not None]
    return [((*path, "key"), ssh["key"]), *keys] if "key" in ssh else keys


def check_key_name(name: str) -> None:
    if name.endswith(".pub"):
        raise Unfit(f"`{name}` is a public key", f"name the private key: {name.removesuffix('.pub')}")
    if "\n" in name:
        raise Unfit("a key file is named here, not its text", "write the path of the private key file")


def port_of(ssh: Mapping[str, Placed]) -> int:
    try:
        return parse_port(ssh["port"].value)
    except (KeyError, Unfit):
        return 22


def check_way(entry: Entry, door: tuple[str, int], ssh: Mapping[str, Placed], problems: Problems) -> None:
    """A host must not be its own jump host, nor a hop stand twice on the way."""
    jump = ssh.get("jump")
    if jump is None or problems.touches(jump.path):
        return
    seen: set[tuple[str, int]] = set()
    for hop in parse_jumps(jump.value):
        place = (hop.address.lower().rstrip("."), hop.port)
        if place == door:
            problems.add(
                jump.path,
                f"`{entry.name}` would be reached through itself",
                f"give `{entry.name}` its own `ssh: {{jump: []}}`",
            )
        elif place in seen:
            problems.add(jump.path, f"the hop {hop.address} stands twice on the way", "remove one of them")
        seen.add(place)
