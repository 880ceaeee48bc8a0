"""The cluster as a whole: it has a controller, ordinary pods find a place, its token is a reference."""

from bootstrap.inventory.draft import Draft, attempt
from bootstrap.inventory.layers import append, merge_native
from bootstrap.inventory.problems import Path, Problems, Tree
from bootstrap.inventory.ranges import Entry
from bootstrap.inventory.values import Unfit, parse_taint
from bootstrap.model import Role
from bootstrap.references import PATTERN

TOKEN_KINDS = ("env", "file", "secret", "command")
# Where native keys move the datastore away from the controllers.
EXTERNAL_DATASTORE: dict[str, tuple[Path, ...]] = {
    "k3s": (("config", "datastore-endpoint"), ("server", "datastore-endpoint")),
    "kubeadm": (("cluster", "etcd", "external"),),
    "k0s": (("config", "storage", "etcd", "externalCluster"), ("config", "storage", "kine", "dataSource")),
}
CHOOSES_VOTERS = ("microk8s",)  # distributions whose datastore takes an odd number of voters from any number
HAVE_SINGLE = ("k0s",)  # distributions with the role `single`
REPELLING = ("NoSchedule", "NoExecute")


def check_cluster(draft: Draft, problems: Problems) -> None:
    check_token(draft.document, problems)
    mirror = draft.document.get("mirror")
    if mirror is not None:
        attempt(problems, ("mirror",), check_mirror, mirror)
    if draft.entries and draft.roles_are_known(problems):
        check_roles(draft, problems)
        check_single(draft, problems)
        check_quorum(draft, problems)


def check_token(document: Tree, problems: Problems) -> None:
    """A token is one whole reference: plain text would be in git for ever."""
    token = document.get("token")
    if token is None:
        return
    match = PATTERN.fullmatch(token)
    if match is None or match[1]:
        hint = "give a reference: ${env:NAME}, ${file:PATH}, ${secret:KEY} or ${command:WORDS}"
        message = "the token stands here in clear" if "${" not in token else "the token must be one whole reference"
        why = " (a token in git is public)" if "${" not in token else ""
        problems.add(("token",), message, hint + why)
    elif match[2] not in TOKEN_KINDS:
        problems.add(("token",), f"`${{{match[2]}:...}}` can't stand here", f"choose one of {', '.join(TOKEN_KINDS)}")
    elif match[2] == "secret" and "secrets" not in document:
        problems.add(
            ("token",), "`${secret:...}` needs a secrets file", "name it, for example secrets: secrets.sops.yaml"
        )


def check_mirror(text: str) -> None:
    if "://" in text and not text.startswith(("http://", "https://")):
        raise Unfit(f"`{text}` is not a mirror", "a folder, or a URL with http:// or https://")


def check_roles(draft: Draft, problems: Problems) -> None:
    roles = {entry.name: Role(entry.settings.get("role", Role.WORKER)) for entry in draft.entries}
    if not any(role.controls for role in roles.values()):
        hint = "give one host `role: controller`, or `controller+worker` where it takes pods as well"
        problems.add_at_key(("hosts",), "no host is a controller", hint)
    elif not any(role.takes_work for role in roles.values()):
        message = "nothing ordinary can be scheduled: every host is a controller only"
        problems.add_at_key(("hosts",), message, "make a host `role: controller+worker`, or add a worker")
    elif all(repels(entry, draft) for entry in draft.entries if roles[entry.name].takes_work):
        message = "nothing ordinary can be scheduled: every host that takes work has a NoSchedule or NoExecute taint"
        problems.add_at_key(("hosts",), message, "leave one host without it, or use PreferNoSchedule")


def check_single(draft: Draft, problems: Problems) -> None:
    """A single node is a whole cluster: nobody can join it, so nobody stands beside it."""
    distro = draft.document.get("distro", "")
    for entry in draft.entries:
        if entry.settings.get("role") != Role.SINGLE:
            continue
        if distro not in HAVE_SINGLE:
            hint = "did you mean `controller+worker`? It takes pods as well, and others may join it later"
            problems.add((*entry.path, "role"), f"{distro} has no role `single`", hint)
        elif len(draft.entries) > 1:
            message = f"`single` stands alone, and here are {len(draft.entries)} hosts: nobody can join a single node"
            problems.add((*entry.path, "role"), message, "make it `controller+worker`, and the others can join")


def check_quorum(draft: Draft, problems: Problems) -> None:
    """Controllers that hold the datastore are one or an odd number, for a majority must be alive."""
    controllers = [entry for entry in draft.entries if Role(entry.settings.get("role", Role.WORKER)).controls]
    count = len(controllers)
    if count == 0 or count % 2 == 1 or draft.document.get("distro") in CHOOSES_VOTERS:
        return
    if any(has_external_datastore(entry, draft) for entry in controllers):
        return
    survives = "none" if count == 2 else f"only {(count - 1) // 2}, as {count - 1} do"
    message = f"{count} controllers hold the datastore: etcd needs a majority, so they survive the loss of {survives}"
    problems.add_at_key(("hosts",), message, f"have {count - 1} or {count + 1} controllers, or an external datastore")


def has_external_datastore(entry: Entry, draft: Draft) -> bool:
    distro = draft.document.get("distro", "")
    native = merge_native(draft.layers_of(entry), distro)
    return any(has_value(native, path) for path in EXTERNAL_DATASTORE.get(distro, ()))


def has_value(value: Tree, path: Path) -> bool:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value is not None


def repels(entry: Entry, draft: Draft) -> bool:
    """Whether a taint keeps ordinary pods away from a host."""
    for placed in append(draft.layers_of(entry), "taints"):
        try:
            if parse_taint(placed.value).effect in REPELLING:
                return True
        except Unfit:
            continue
    return False
