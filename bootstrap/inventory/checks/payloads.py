"""Files and scripts that hosts get: legal paths and modes, known points, names that are unique."""

from bootstrap.inventory.checks.names import suggest
from bootstrap.inventory.draft import Draft, attempt
from bootstrap.inventory.layers import append
from bootstrap.inventory.problems import Path, Problems, Tree
from bootstrap.inventory.ranges import Entry
from bootstrap.inventory.values import check_dns_label, check_path, parse_mode, parse_owner

FILE_CHECKS = {"path": check_path, "mode": parse_mode, "owner": parse_owner}


def check_payloads(draft: Draft, problems: Problems) -> None:
    names: dict[str, Path] = {}
    for layer in draft.layers:
        for index, item in enumerate(layer.settings.get("files", ())):
            check_file(item or {}, (*layer.path, "files", index), problems)
        for index, hook in enumerate(layer.settings.get("hooks", ())):
            check_hook(hook or {}, (*layer.path, "hooks", index), names, draft, problems)
    for entry in draft.entries:
        check_file_paths(entry, draft, problems)


def check_file(item: dict[str, Tree], path: Path, problems: Problems) -> None:
    for key, parse in FILE_CHECKS.items():
        if key in item:
            attempt(problems, (*path, key), parse, item[key])


def check_file_paths(entry: Entry, draft: Draft, problems: Problems) -> None:
    """One text per path on a host, all layers together."""
    seen: dict[str, Path] = {}
    for placed in append(draft.layers_of(entry), "files"):
        target, at = placed.value.get("path"), (*placed.path, "path")
        if target is None:
            continue
        other = seen.setdefault(target, at)
        if other != at:
            line = problems.value_position(other).line
            problems.add(
                at, f"host `{entry.name}` gets `{target}` twice", f"the other one is on line {line}: keep one of them"
            )


def check_hook(hook: dict[str, Tree], path: Path, names: dict[str, Path], draft: Draft, problems: Problems) -> None:
    if "name" in hook:
        at = (*path, "name")
        attempt(problems, at, check_dns_label, hook["name"])
        other = names.setdefault(hook["name"], at)
        if other != at:
            line = problems.value_position(other).line
            problems.add(at, f"two hooks are named `{hook['name']}`", f"the other one is on line {line}")
    known = [entry.name for entry in draft.entries]
    keys = {entry.path[1] for entry in draft.entries}
    for index, name in enumerate(hook.get("hosts", ())):
        if name is not None and name not in known and name not in keys and not problems.touches(("hosts", name)):
            problems.add(
                (*path, "hosts", index), f"there is no host `{name}`", suggest(name, known, "`hosts:` names none")
            )
