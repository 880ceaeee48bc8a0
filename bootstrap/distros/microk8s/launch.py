"""Checks `fragment`, keys of the launch configuration that are kept as they are. Pure."""

from collections.abc import Iterator, Mapping

from bootstrap.distros.microk8s.fields import CNI_OWNERS, LAUNCH, LAUNCH_OWNERS
from bootstrap.driver import NativeProblem
from bootstrap.forms import Form, Found, Reader
from bootstrap.sections import Path, Section, suggest_field


class LaunchReader(Reader):
    """Holds a fragment against the keys of the launch configuration."""

    def explain_unknown(self, path: Path, known: Mapping[str, Form]) -> Found:
        name = str(path[-1])
        if owner := (LAUNCH_OWNERS if len(path) == 1 else CNI_OWNERS).get(name):
            return (
                f"`{name}` is not given here",
                f"it is {owner}" if " " in owner and "`" not in owner else f"write {owner}",
            )
        hint = suggest_field(name, [*known, *LAUNCH_OWNERS])
        return f"the launch configuration has no `{name}`, and passes over what it does not know", hint


def check_fragment(section: Section) -> Iterator[NativeProblem]:
    """Problems of one `fragment` section."""
    for path, message, hint in LaunchReader().read(LAUNCH, section.values):
        yield NativeProblem((*section.path, *path), message, hint)
    files = section.values.get("extraConfigFiles")
    for name in files if isinstance(files, Mapping) else ():
        if "/" in name:
            message = f"`{name}` is no name of a file: they all lie in /var/snap/microk8s/current/args"
            yield NativeProblem((*section.path, "extraConfigFiles", name), message, "leave the folder out")
        elif name == "ha-conf":
            message = "`ha-conf` holds the failure domain"
            yield NativeProblem(
                (*section.path, "extraConfigFiles", name), message, "write it as `microk8s.failureDomain`"
            )
