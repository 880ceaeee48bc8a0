"""From a checked draft to the Inventory. Pure; what is known to be wrong has been pruned before."""

from collections.abc import Sequence
from pathlib import Path as FilePath

from bootstrap.inventory.draft import Draft
from bootstrap.inventory.layers import Layer, append, deepest, merge, merge_native, merge_ssh
from bootstrap.inventory.problems import Path, Problems, Tree
from bootstrap.inventory.ranges import Entry
from bootstrap.inventory.tree import texts
from bootstrap.inventory.values import parse_endpoint, parse_jumps, parse_mode, parse_owner, parse_port, parse_taint
from bootstrap.model import (
    Addon,
    Connection,
    Escalation,
    Hook,
    Host,
    Inventory,
    Jump,
    Network,
    OtherHost,
    PlacedFile,
    Role,
)
from bootstrap.references import find_references


class Builder:
    """Makes the values of the model from a draft."""

    def __init__(self, draft: Draft, root: FilePath, problems: Problems) -> None:
        self.draft = draft
        self.document = draft.document
        self.distro = draft.document.get("distro", "")
        self.root = root
        self.problems = problems

    def inventory(self, file: str, written: dict[str, Tree]) -> Inventory:
        document = self.document
        token = next(find_references(document.get("token", "")), None)
        return Inventory(
            file=file,
            cluster=document.get("cluster", ""),
            distro=self.distro,
            version=document.get("version", ""),
            hosts=tuple(self.host(entry) for entry in self.draft.entries),
            endpoint=parse_endpoint(document["endpoint"]) if self.is_sound("endpoint") else None,
            network=self.network(),
            sans=tuple(name for _, name in texts(document.get("sans"), ())),
            token=token,
            native=document.get(self.distro, {}),
            others=tuple(
                OtherHost(name, other.get("address", "")) for name, other in document.get("others", {}).items()
            ),
            hooks=tuple(self.hooks()),
            addons=tuple(addon(item) for item in document.get("addons", ()) if item is not None),
            mirror=self.mirror(),
            secrets=document.get("secrets"),
            document=written,
            positions=self.problems.values,
        )

    def is_sound(self, key: str) -> bool:
        return key in self.document and not self.problems.touches((key,))

    def network(self) -> Network:
        network = self.document.get("network", {})
        pods, services = (tuple(text for _, text in texts(network.get(kind), ())) for kind in ("pods", "services"))
        return Network(pods, services, network.get("domain", ""))

    def mirror(self) -> str | None:
        """A URL as it is; a folder from the repository on, as an absolute path."""
        mirror: str | None = self.document.get("mirror")
        if mirror is None or "://" in mirror or mirror.startswith("~"):
            return mirror
        return str(self.root / mirror)

    def host(self, entry: Entry) -> Host:
        layers = self.draft.layers_of(entry)
        settings = entry.settings
        return Host(
            name=entry.name,
            connection=self.connection(settings.get("address", ""), layers),
            role=Role(settings.get("role", Role.WORKER)),
            node_addresses=tuple(text for _, text in texts(settings.get("node_address"), ())),
            node_interface=value(layers, "node_interface"),
            labels={key: placed.value for key, placed in merge(layers, "labels").items()},
            annotations={key: placed.value for key, placed in merge(layers, "annotations").items()},
            taints=tuple(parse_taint(placed.value) for placed in append(layers, "taints")),
            arch=value(layers, "arch"),
            os=value(layers, "os"),
            files=tuple(placed_file(placed.value) for placed in append(layers, "files") if "path" in placed.value),
            native=merge_native(layers, self.distro),
            groups=tuple(name for name in settings.get("groups", ()) if name is not None),
            origin=entry.path,
        )

    def connection(self, address: str, layers: Sequence[Layer]) -> Connection:
        ssh = merge_ssh(layers)
        settings = {key: placed.value for key, placed in ssh.items()}
        sound = "jump" in ssh and not self.problems.touches(ssh["jump"].path)
        return Connection(
            address=address,
            port=parse_port(settings["port"]) if "port" in settings else None,
            user=settings.get("user"),
            identity_files=tuple(self.key_path(key) for key in settings.get("keys", ()) if key is not None),
            jumps=tuple(self.jump(hop) for hop in parse_jumps(settings["jump"])) if sound else (),
            escalation=Escalation(settings.get("become", Escalation.AUTO)),
            connect_timeout=float(settings.get("connect_timeout", Connection("").connect_timeout)),
        )

    def jump(self, hop: Jump) -> Jump:
        return Jump(hop.address, hop.port, hop.user, tuple(self.key_path(key) for key in hop.identity_files))

    def key_path(self, key: str) -> str:
        """A path that the home folder begins stays as it is; a relative one starts at the repository."""
        return key if key.startswith("~") else str(self.root / key)

    def hooks(self) -> list[Hook]:
        """Every hook once, in the order of the document, with the hosts of its layer."""
        found: dict[Path, Hook] = {}
        for layer in self.draft.layers:
            for index, item in enumerate(layer.settings.get("hooks", ())):
                hook = self.hook(item, layer) if item and {"name", "at"} <= item.keys() else None
                if hook:
                    found[*layer.path, index] = hook
        return list(found.values())

    def hook(self, item: dict[str, Tree], layer: Layer) -> Hook | None:
        """None for the hook of a layer that has no host."""
        hosts = self.chosen(item.get("hosts", ())) or self.hosts_of(layer)
        if layer.path and not hosts:
            return None
        return Hook(item["name"], item["at"], item["run"], item.get("once", False), hosts)

    def hosts_of(self, layer: Layer) -> tuple[str, ...]:
        """The hosts that a layer is for; none for the cluster layer, which is for all."""
        entries = (entry for entry in self.draft.entries if layer.path and layer.path in self.paths_of(entry))
        return tuple(entry.name for entry in entries)

    def paths_of(self, entry: Entry) -> set[Path]:
        return {layer.path for layer in self.draft.layers_of(entry)}

    def chosen(self, names: Sequence[str | None]) -> tuple[str, ...]:
        """The hosts that a hook names, one by one or by the key of their entry."""
        entries = self.draft.entries
        return tuple(entry.name for entry in entries if entry.name in names or entry.path[1] in names)


def value(layers: Sequence[Layer], key: str) -> Tree:
    placed = deepest(layers, key)
    return placed.value if placed else None


def placed_file(item: dict[str, Tree]) -> PlacedFile:
    mode, owner = parse_mode(item.get("mode", "0644")), parse_owner(item.get("owner", "root:root"))
    return PlacedFile(item["path"], item.get("content", ""), mode, owner)


def addon(item: str | dict[str, Tree]) -> Addon:
    return Addon(item) if isinstance(item, str) else Addon(item.get("name", ""), item.get("args"))
