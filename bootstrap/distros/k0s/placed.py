"""Files that a person wants on a host, from the inventory's `files` and from `k0s.files`. Pure."""

from collections.abc import Iterator, Mapping
from posixpath import basename

from bootstrap.distros.k0s import layout
from bootstrap.driver import NativeProblem
from bootstrap.forms import Found
from bootstrap.model import Host, Inventory, PlacedFile
from bootstrap.sections import Section, find_layers

OURS = (layout.BINARY, layout.CONFIG, layout.TOKEN, layout.INSTALL_FLAGS, layout.SECRET_ENVIRONMENT)
UNITS = tuple(f"/etc/systemd/system/{name}.service" for name in (layout.CONTROLLER, layout.WORKER))


def placed_files(host: Host) -> list[PlacedFile]:
    """All of them, those of `k0s.files` last; what their `src` names was read when the inventory was."""
    given = host.native.get("files") or ()
    return [*host.files, *(_place(item) for item in given if isinstance(item, Mapping) and "data" in item)]


def _place(item: Mapping[str, object]) -> PlacedFile:
    user, group = str(item.get("user") or "root"), str(item.get("group") or item.get("user") or "root")
    return PlacedFile(destination(item), str(item["data"]), format_mode(item.get("perm")), f"{user}:{group}")


def destination(item: Mapping[str, object]) -> str:
    """Where a file goes: `dst`, or its own name in `dstDir`."""
    if item.get("dst"):
        return str(item["dst"])
    name = basename(str(item.get("src") or item.get("name") or ""))
    return f"{str(item.get('dstDir') or '').rstrip('/')}/{name}"


def format_mode(value: object) -> str:
    """Four octal digits. YAML 1.1 reads 0644 as the number 420, as k0sctl does."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:04o}"
    return str(value).zfill(4) if value else "0644"


# --- what is wrong -------------------------------------------------------------------------------


def check_files(inventory: Inventory) -> Iterator[NativeProblem]:
    """Problems of the inventory's own `files`: none takes the place of one that bootstrap or k0s writes."""
    for layer in find_layers(inventory):
        files = layer.values.get("files")
        for index, file in enumerate(files if isinstance(files, list) else []):
            found = _check_place(str(file.get("path", "")) if isinstance(file, Mapping) else "")
            if found:
                yield NativeProblem((*layer.path, "files", index, "path"), *found)
    yield from _check_twice(inventory)


def _check_twice(inventory: Inventory) -> Iterator[NativeProblem]:
    """One problem is enough: what stands at the top comes to all hosts."""
    for host in inventory.hosts:
        paths = [file.path for file in placed_files(host)]
        twice = next((path for path in paths if paths.count(path) > 1), None)
        if twice:
            message = f"{twice} of {host.name} is placed twice"
            yield NativeProblem((*host.origin, inventory.distro, "files"), message, "leave one of them out")
            return


def check_native_files(section: Section) -> Iterator[NativeProblem]:
    """Problems of one `k0s.files` section."""
    for index, item in enumerate(section.value if isinstance(section.value, list) else []):
        if isinstance(item, Mapping):
            for key, *found in _check_item(item):
                yield NativeProblem((*section.path, index, *([key] if key else [])), *found)


def _check_item(item: Mapping[str, object]) -> Iterator[tuple[str, str, str]]:
    src = str(item.get("src") or "")
    if ("src" in item) == ("data" in item):
        word = "both are" if "src" in item else "neither is"
        yield "", f"a file has `src` or `data`, and {word} given", "`data` holds the text, `src` names a file with it"
    if ("dst" in item) == ("dstDir" in item):
        word = "both are" if "dst" in item else "neither is"
        yield "", f"a file goes to `dst` or into `dstDir`, and {word} given", "give one of them"
    if "data" in item and "dstDir" in item and not item.get("name"):
        yield "", "a file from `data` has no name of its own", "give `dst`, or a `name` beside `dstDir`"
    if "://" in src:
        hint = "put the file into the repository: k0sctl would upgrade the host at each run for a URL"
        yield "src", "`src` is a URL, and nothing says which bytes it must give", hint
    yield from _check_destination(item)
    yield from _check_modes(item)


def _check_destination(item: Mapping[str, object]) -> Iterator[tuple[str, str, str]]:
    for key in ("dst", "dstDir"):
        place = item.get(key)
        if isinstance(place, str) and not place.startswith("/"):
            yield key, f"`{key}` must be an absolute path", f"such as /{place}"
    if isinstance(item.get("dst"), str) and (found := _check_place(str(item["dst"]))):
        yield "dst", *found


def _check_modes(item: Mapping[str, object]) -> Iterator[tuple[str, str, str]]:
    for key in ("perm", "dirPerm"):
        value = item.get(key)
        text = format_mode(value) if key in item else "0644"
        if len(text) != 4 or any(digit not in "01234567" for digit in text) or int(text[1]) < 4:
            yield key, f"`{value}` are no permissions that the owner could read", 'such as "0644"'
    if "dirPerm" in item and format_mode(item["dirPerm"]) != "0755":
        yield "dirPerm", "folders are made with 0755", "leave it out, or set it in a hook"


def _check_place(path: str) -> Found | None:
    if path in OURS or path.startswith(UNITS):
        return f"{path} is written by bootstrap or k0s itself", "its keys stand under `k0s`, where they are checked"
    if path.startswith(f"{layout.DEFAULT_DATA}/pki/"):
        return f"{path} is a file of the cluster's identity", "write them under `k0s.pki`"
    if path.startswith(f"{layout.DEFAULT_DATA}/manifests/") and not path.endswith(".yaml"):
        return f"k0s passes over {path}", "it applies files named *.yaml"
    return None
