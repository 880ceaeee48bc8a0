"""Variables of k0s' service, as its unit and OpenRC read them. Pure."""

import re
from collections.abc import Mapping

from bootstrap.distros.k0s.layout import effective
from bootstrap.model import Host
from bootstrap.sections import has_reference

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def variables(host: Host) -> dict[str, str]:
    """The variables of a host that hold no reference, by name."""
    return {name: value for name, value in _all(host).items() if not has_reference(value)}


def secret_variables(host: Host) -> dict[str, str]:
    """Those with a reference: units are readable by everybody, so they get a file of their own."""
    return {name: value for name, value in _all(host).items() if has_reference(value)}


def _all(host: Host) -> Mapping[str, str]:
    given = effective(host, "environment", {})
    return {str(name): str(value) for name, value in sorted(given.items())} if isinstance(given, Mapping) else {}


def systemd_value(text: str) -> str:
    """A value for `Environment=`, in double quotes: `%` begins a specifier there, and is doubled.

    systemd drops a whole line that it can't read, silently (systemd.exec, Environment=).
    """
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")


def shell_value(text: str) -> str:
    """A value in single quotes of a shell, as OpenRC's conf.d wants it.

    In systemd's `EnvironmentFile=` single quotes hold everything but themselves, so references stand in them there.
    """
    return text.replace("'", "'\\''")
