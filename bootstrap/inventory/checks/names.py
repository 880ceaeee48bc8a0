"""Names: legal, and known where they are used."""

from collections.abc import Sequence

from bootstrap.inventory.draft import Draft, attempt, attempt_key
from bootstrap.inventory.problems import Path, Problems
from bootstrap.inventory.values import check_dns_label


def check_names(draft: Draft, problems: Problems) -> None:
    """Cluster, hosts and others are DNS-1123 labels; groups that a host names exist."""
    if "cluster" in draft.document:
        attempt(problems, ("cluster",), check_dns_label, draft.document["cluster"])
    for entry in draft.entries:
        attempt_key(problems, entry.path, check_dns_label, entry.name)
    for name in draft.document.get("others", {}):
        check_other_name(name, draft, problems)
    check_groups(draft, problems)


def check_other_name(name: str, draft: Draft, problems: Problems) -> None:
    path: Path = ("others", name)
    attempt_key(problems, path, check_dns_label, name)
    host = next((entry for entry in draft.entries if entry.name == name), None)
    if host:
        message = f"`{name}` is a host of the cluster too"
        problems.add_at_key(path, message, f"it is on line {problems.line_of(host.path)}: name one of them differently")


def check_groups(draft: Draft, problems: Problems) -> None:
    known = list(draft.document.get("groups", {}))
    for entry in draft.entries:
        named: list[str] = []
        for index, group in enumerate(entry.settings.get("groups", ())):
            path = (*entry.path, "groups", index)
            if group is not None and group not in known and not problems.touches(("groups", group)):
                problems.add(path, f"there is no group `{group}`", suggest(group, known, "`groups:` defines none"))
            elif group in named:
                problems.add(path, f"group `{group}` is named twice", "remove one of them")
            named.append(group)


def suggest(name: str, known: Sequence[str], none: str) -> str:
    """The known name that was probably meant, or all of them."""
    from difflib import get_close_matches

    close = get_close_matches(name, known, 1, 0.6)
    if close:
        return f"did you mean `{close[0]}`?"
    return f"known: {', '.join(known[:10])}{', ...' if len(known) > 10 else ''}" if known else none
