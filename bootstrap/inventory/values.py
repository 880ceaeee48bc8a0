"""Text to typed values, and why a text is none: addresses, ranges, names, taints, modes. Pure, one value at a time."""

import ipaddress
import posixpath
import re

from bootstrap.inventory.problems import Tree
from bootstrap.model import Endpoint, Jump, Taint

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
# Texts, for a pattern is compiled when it is first used: most inventories need few.
DNS_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
DNS_NAME = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*"
HOST_NAME = r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?"
QUALIFIED = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
MODE = r"0?[0-7]{3}|[0-7]{4}"
OWNER = r"[A-Za-z0-9_][A-Za-z0-9_.-]*\$?(:[A-Za-z0-9_][A-Za-z0-9_.-]*\$?)?"
USER = r"[A-Za-z0-9_][A-Za-z0-9_.@+\\-]*\$?"
INTERFACE = r"[^\s/:-][^\s/:]{0,14}"

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
Cidr = ipaddress.IPv4Network | ipaddress.IPv6Network


class Unfit(ValueError):  # noqa: N818 - becomes a Problem with a position
    """A text is not what its field needs; `hint` says what to write."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def find_ip(text: str) -> Ip | None:
    """The IP address that a text is, or None for a name."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def parse_ip(text: str) -> Ip:
    """An IP address that a node can have."""
    address = find_ip(text)
    if address is None:
        hint = "leave out the prefix length" if "/" in text else "names are for `address`; here stands an IP address"
        raise Unfit(f"`{text}` is not an IP address", hint)
    if address.is_loopback or address.is_unspecified or address.is_multicast:
        raise Unfit(f"`{text}` is no address of a node", "give the address by which the other hosts reach it")
    return address


def parse_address(text: str) -> str:
    """An IP address, a DNS name or an alias of ~/.ssh/config."""
    if find_ip(text):
        return text
    if "://" in text:
        raise Unfit(f"`{text}` is a URL", "give the host alone")
    if "@" in text:
        user, _, rest = text.partition("@")
        raise Unfit(f"`{text}` holds a user", f"write `address: {rest}` and `ssh: {{user: {user}}}`")
    if match := re.fullmatch(r"\[(.+)\](?::(\d+))?|([^:]+):(\d+)", text):
        host, port = match[1] or match[3], match[2] or match[4]
        setting = f" and `ssh: {{port: {port}}}`" if port else ""
        raise Unfit(f"`{text}` holds more than an address", f"write `address: {host}`{setting}")
    return parse_name(text)


def parse_name(text: str) -> str:
    """A host name; text that tries to be an IP address is told apart."""
    if re.fullmatch(r"[0-9.]+", text):
        raise Unfit(f"`{text}` is not an IPv4 address", "four numbers from 0 to 255, without leading zeros")
    if ":" in text and re.fullmatch(r"[0-9A-Fa-f:.]+", text):
        raise Unfit(f"`{text}` is not an IPv6 address")
    if "/" in text:
        raise Unfit(f"`{text}` is not an address", "leave out the prefix length")
    if not re.fullmatch(HOST_NAME, text) or len(text) > 253:
        raise Unfit(f"`{text}` is neither an IP address nor a name", "letters, digits, hyphens and dots")
    return text


def parse_port(value: int | str) -> int:
    if not str(value).isdecimal() or not 1 <= int(value) <= 65535:
        raise Unfit(f"`{value}` is not a port", "a port is a number from 1 to 65535")
    return int(value)


def split_port(text: str) -> tuple[str, int | None]:
    """`host:port`, `[v6]:port`, or a host alone."""
    if find_ip(text):
        return text, None
    match = re.fullmatch(r"\[([^\]]+)\](?::([^:]*))?|([^:]*)(?::([^:]*))?", text)
    if match is None:
        return text, None
    host, port = match[1] or match[3] or "", match[2] if match[2] is not None else match[4]
    return host, None if port is None else parse_port(port)


def parse_endpoint(value: str | dict[str, Tree]) -> Endpoint:
    """An endpoint as host, host:port, or a mapping of both."""
    if isinstance(value, dict):
        return Endpoint(parse_endpoint_host(value["address"]), parse_port(value.get("port", 6443)))
    if "://" in value:
        raise Unfit(f"`{value}` is a URL", f"write {value.split('://')[1].rstrip('/') or 'the host'}")
    host, port = split_port(value)
    return Endpoint(parse_endpoint_host(host), port or 6443)


def parse_endpoint_host(text: str) -> str:
    if not find_ip(text) and ("@" in text or not re.fullmatch(DNS_NAME, parse_name(text).lower())):
        raise Unfit(f"`{text}` is neither an IP address nor a DNS name")
    return text


def parse_jumps(value: Tree) -> tuple[Jump, ...]:
    """One hop or a list of them."""
    return tuple(parse_hop(item) for item in (value if isinstance(value, list) else [value]) if item is not None)


def parse_hop(value: str | dict[str, Tree]) -> Jump:
    """One hop, as [user@]host[:port] or as a mapping."""
    if isinstance(value, dict):
        keys = (value["key"],) if "key" in value else ()
        user = parse_user(value["user"]) if "user" in value else None
        return Jump(parse_address(value["address"]), parse_port(value.get("port", 22)), user, keys)
    user, at, rest = value.rpartition("@")
    host, port = split_port(rest)
    return Jump(parse_address(host), port or 22, parse_user(user) if at else None)


def parse_user(text: str) -> str:
    if not re.fullmatch(USER, text):
        raise Unfit(f"`{text}` is not a user name", "letters, digits, and . _ - inside")
    return text


def parse_cidr(text: str) -> Cidr:
    """An address range whose host bits are zero."""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        hint = "two ranges stand in a list: [first, second]" if "," in text else "for example 10.42.0.0/16"
        raise Unfit(f"`{text}` is not an address range", hint) from None
    if "/" not in text:
        raise Unfit(f"`{text}` is one address, not a range", f"for example {text}/16")
    if str(network) != str(ipaddress.ip_interface(text).network) or ipaddress.ip_interface(text).ip != network[0]:
        raise Unfit(f"`{text}` has host bits set", f"did you mean `{network}`?")
    return network


def check_dns_label(text: str) -> None:
    """A name as Kubernetes wants it for a Node: a DNS-1123 label."""
    if re.fullmatch(DNS_LABEL, text):
        return
    if len(text) > 63:
        raise Unfit(f"`{text[:20]}...` is longer than 63 characters")
    better = re.sub(r"[^a-z0-9-]+", "-", text.lower()).strip("-")
    hint = "lower-case letters, digits and hyphens"
    raise Unfit(f"`{text}` is not a legal name", f"did you mean `{better}`? {hint}" if better else hint)


def check_qualified(text: str, kind: str) -> None:
    """The key of a label, an annotation or a taint: [prefix/]name."""
    prefix, slash, name = text.rpartition("/")
    if slash and (not re.fullmatch(DNS_NAME, prefix) or len(prefix) > 253):
        raise Unfit(
            f"`{prefix}/` is not a legal prefix of a {kind} key", "a DNS name in lower case, as in example.com/name"
        )
    if len(name) > 63:
        raise Unfit(f"the {kind} key `{text[:20]}...` is longer than 63 characters")
    if not re.fullmatch(QUALIFIED, name):
        raise Unfit(f"`{text}` is not a legal {kind} key", "letters, digits, and - _ . inside")


def check_label_value(text: str, kind: str) -> None:
    if len(text) > 63:
        raise Unfit(
            f"the {kind} value `{text[:20]}...` is longer than 63 characters", "longer text fits in an annotation"
        )
    if text and not re.fullmatch(QUALIFIED, text):
        raise Unfit(
            f"`{text}` is not a legal {kind} value", "letters, digits, and - _ . inside; an annotation takes any text"
        )


def parse_taint(text: str) -> Taint:
    """`key=value:Effect` or `key:Effect`."""
    rest, colon, effect = text.rpartition(":")
    if not colon or not rest:
        raise Unfit(f"`{text}` is not a taint", f"key=value:Effect, for example {text or 'dedicated'}:NoSchedule")
    if effect not in EFFECTS:
        from difflib import get_close_matches

        close = get_close_matches(effect.lower(), [known.lower() for known in EFFECTS], 1, 0.5)
        meant = next((known for known in EFFECTS if close and known.lower() == close[0]), None)
        hint = f"did you mean `{meant}`?" if meant else f"choose one of {', '.join(EFFECTS)}"
        raise Unfit(f"`{effect}` is not a taint effect", hint)
    key, _, value = rest.partition("=")
    check_qualified(key, "taint")
    check_label_value(value, "taint")
    return Taint(key, value, effect)


def check_path(text: str) -> None:
    """An absolute path on a host, without detours."""
    if not text.startswith("/"):
        raise Unfit(f"`{text}` is not an absolute path", f"did you mean `/{text.lstrip('./')}`?")
    normal = posixpath.normpath(text).replace("//", "/")
    if normal != text:
        raise Unfit(f"`{text}` is not the straight path", f"did you mean `{normal}`?")
    if text == "/" or any(not character.isprintable() for character in text):
        raise Unfit(f"`{text}` is not a path of a file")


def parse_mode(text: str) -> str:
    """Four octal digits."""
    if not re.fullmatch(MODE, text):
        raise Unfit(f"`{text}` is not a mode", 'octal digits in quotes, for example "0644"')
    return text.rjust(4, "0")


def parse_owner(text: str) -> str:
    """user:group; the group is named like the user when it is left out."""
    if not re.fullmatch(OWNER, text):
        raise Unfit(f"`{text}` is not an owner", "user or user:group, for example root:root")
    return text if ":" in text else f"{text}:{text}"
