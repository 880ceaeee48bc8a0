"""Holds an add-on's arguments against its grammar: words, flags, values. Pure."""

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bootstrap.distros.microk8s.addon_forms import Addon, Flag, Form, Spelling, Word
from bootstrap.distros.microk8s.versions import Series
from bootstrap.sections import suggest

METALLB_IPV6 = (1, 31)  # before it the script knows IPv4 alone
HOST_RESOLVERS = "/etc/resolv.conf"
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Found = tuple[str, str]  # what is wrong, and a hint


@dataclass(frozen=True)
class Split:
    """Arguments, sorted: positional words, and flags as they were written with their values (None: none was given)."""

    words: tuple[str, ...]
    flags: tuple[tuple[str, str | None, bool], ...]  # name, value, whether `=` stood between


class UnreadableArgumentsError(ValueError):
    """`args` are no words; `found` says why, with a hint."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.found: Found = (message, hint)


def split_arguments(args: Any) -> tuple[str, ...]:  # noqa: ANN401 - as the document says
    """The words of `args`: of a text as a shell would split it, of a list one by one.

    Raises UnreadableArgumentsError for what has none.
    """
    if args is None:
        return ()
    if isinstance(args, list) and all(_is_scalar(each) for each in args):
        return tuple(str(each) for each in args)
    if not _is_scalar(args):
        raise UnreadableArgumentsError(
            "`args` must be text, or a list of words", "as they stand behind `microk8s enable NAME`"
        )
    import shlex

    try:
        return tuple(shlex.split(str(args)))
    except ValueError:
        raise UnreadableArgumentsError(
            "`args` has a quote that is never closed", "close it, or write a list of words"
        ) from None


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def check_arguments(addon: Addon, series: Series, given: Sequence[str]) -> Iterator[Found]:
    """What is wrong with the words behind an add-on's name."""
    colon = next((word for word in given if word.startswith(":")), "")
    if colon:
        yield "a colon joins an add-on and its arguments on one line only", f"write `{colon[1:]}`"
        return
    split = sort_arguments(addon, given)
    wrong = list(_check_flags(addon, series, split))  # behind an unknown flag nobody knows what a word is
    yield from wrong or _check_words(addon, series, split.words)


def sort_arguments(addon: Addon, given: Sequence[str]) -> Split:
    """Flags take the next word as their value where they have one and no `=` stands there."""
    words: list[str] = []
    flags: list[tuple[str, str | None, bool]] = []
    rest = list(given)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or word == "-":
            words.append(word)
            continue
        name, joined, value = word.partition("=")
        flag = _find_flag(addon, name)
        if joined:
            flags.append((name, value, True))
        elif flag and flag.takes_value and flag.spelling is not Spelling.JOINED and rest:
            flags.append((name, rest.pop(0), False))
        else:
            flags.append((name, None, False))
    return Split(tuple(words), tuple(flags))


def _find_flag(addon: Addon, name: str) -> Flag | None:
    return next((flag for flag in addon.flags if name in flag.names), None)


def value_of(addon: Addon, given: Sequence[str], *names: str) -> str | None:
    """The value of a flag among arguments; None where it is not given."""
    found = (value for name, value, _ in sort_arguments(addon, given).flags if name in names)
    return next(found, None)


# --- flags ---------------------------------------------------------------------------------------


def _check_flags(addon: Addon, series: Series, split: Split) -> Iterator[Found]:
    for name, value, joined in split.flags:
        flag = _find_flag(addon, name)
        found = _explain_unknown(addon, name) if flag is None else _check_flag(addon, flag, series, name, value, joined)
        if found:
            yield found
    given = {name for name, _, _ in split.flags}
    for flag in addon.flags:
        if flag.is_required and not given & set(flag.names):
            yield (
                f"`{addon.name}` is enabled with `{flag.names[0]}` only",
                f"write `args: {flag.names[0]}` when you mean it",
            )


def _explain_unknown(addon: Addon, name: str) -> Found:
    known = [each for flag in addon.flags for each in flag.names]
    hint = suggest(name, known) or (f"it takes {show_arguments(addon)}" if known or addon.words else "leave it out")
    return f"`{addon.name}` has no `{name}`", hint


def _check_flag(
    addon: Addon,
    flag: Flag,
    series: Series,
    name: str,
    value: str | None,
    joined: bool,  # noqa: FBT001 - part of what was written
) -> Found | None:
    if flag.since > series:
        return f"`{addon.name}` has `{name}` since {flag.since[0]}.{flag.since[1]}", "leave it out"
    if not flag.takes_value:
        return (f"`{name}` takes no value", f"write `{name}`") if joined else None
    if not value:
        return f"`{name}` has no value", f"write `{show_flag(flag, name)}`"
    if flag.spelling is Spelling.APART and joined:
        return f"`{addon.name}` wants `{name}` and its value apart", f"write `{name} {value}`"
    if flag.choices and value not in flag.choices:
        return f"`{name}` can't be `{value}`", suggest(value, flag.choices) or f"one of {', '.join(flag.choices)}"
    return _check_form(flag.form, value, series) if flag.form else None


# --- words ---------------------------------------------------------------------------------------


def _check_words(addon: Addon, series: Series, words: Sequence[str]) -> Iterator[Found]:
    known = [word for word in addon.words if word.since <= series]
    if len(words) > len(known):
        yield _explain_surplus(addon, known, words[len(known)], words)
        return
    for word, text in zip(known, words, strict=False):
        if found := _check_word(addon, word, series, text):
            yield found
    for word in known[len(words) :]:
        if word.is_required:
            yield _explain_missing(addon, word)


def _explain_surplus(addon: Addon, known: Sequence[Word], surplus: str, words: Sequence[str]) -> Found:
    if known and known[-1].form in (Form.RANGES, Form.SERVERS):
        joined = ",".join(word.strip(",") for word in words)
        return f"`{addon.name}` takes one word, and passes over `{surplus}`", f"join them by commas: {joined}"
    if len(known) < len(addon.words):
        since = addon.words[len(known)].since
        return (
            f"`{addon.name}` takes {addon.words[len(known)].form} since {since[0]}.{since[1]}",
            f"leave `{surplus}` out",
        )
    hint = f"it takes {show_arguments(addon)}" if addon.flags or addon.words else "leave `args` out"
    return f"`{addon.name}` has no place for `{surplus}`", hint


def _explain_missing(addon: Addon, word: Word) -> Found:
    if word.form is Form.RANGES:
        message = f"`{addon.name}` needs a range of addresses: without one it asks on the terminal"
        return message, "args: 192.168.1.240-192.168.1.250, free addresses of your network outside of DHCP"
    return f"`{addon.name}` needs {word.form}", f"it takes {show_arguments(addon)}"


def _check_word(addon: Addon, word: Word, series: Series, text: str) -> Found | None:
    if not word.key:
        return _check_form(word.form, text, series)
    key, _, value = text.partition("=")
    if key != word.key:
        hint = f"write `{word.key}={text}`" if "=" not in text else suggest(key, [word.key])
        return f"`{addon.name}` takes `{word.key}={word.form}`, not `{text}`", hint or f"write `{word.key}={value}`"
    return _check_form(word.form, value, series)


# --- values --------------------------------------------------------------------------------------


def _check_form(form: Form, text: str, series: Series) -> Found | None:
    check = CHECKS.get(form)
    return check(text, series) if check else None


def _check_ranges(text: str, series: Series) -> Found | None:
    for part in text.split(","):
        if found := _check_range(part, series):
            return found
    return None


def _check_range(text: str, series: Series) -> Found | None:
    usual = "such as 192.168.1.240-192.168.1.250 or 192.168.1.240/28"
    if not text:
        return "there is an empty range", f"ranges are joined by single commas, {usual}"
    if "-" not in text and "/" not in text and _parse(text):
        return f"`{text}` is one address, and MetalLB's add-on takes ranges", f"write `{text}-{text}`"
    try:
        first, _ = read_range(text)
    except ValueError as error:
        return f"`{text}` is no range of addresses: {error}", usual
    if first.version == 6 and series < METALLB_IPV6:
        return f"`{text}`: the add-on takes IPv6 since {METALLB_IPV6[0]}.{METALLB_IPV6[1]}", "take an IPv4 range"
    return None


def read_range(text: str) -> tuple[Address, Address]:
    """First and last address of FIRST-LAST or a CIDR. Raises ValueError that says why it is none."""
    first, last = _bounds(text)
    if first is None or last is None or first.version != last.version:
        raise ValueError("those read FIRST-LAST or ADDRESS/BITS")
    if int(first) > int(last):
        raise ValueError("its first address comes after its last")
    return first, last


def _bounds(text: str) -> tuple[Address | None, Address | None]:
    if "-" in text:
        first, last = text.split("-", 1)
        return _parse(first), _parse(last)
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None, None
    return network[0], network[-1]


def _check_servers(text: str, series: Series) -> Found | None:
    if text == HOST_RESOLVERS:
        return None
    return next((found for part in text.split(",") if (found := _check_address(part, series))), None)


def _check_address(text: str, series: Series) -> Found | None:  # noqa: ARG001 - one form for all checks
    return None if _parse(text) else (f"`{text}` is no IP address", "")


def _parse(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _check_size(text: str, series: Series) -> Found | None:  # noqa: ARG001
    if re.fullmatch(r"([2-9][0-9]+|[1-9][0-9]{2,})Gi", text):
        return None
    return f"`{text}` is no size of the registry: whole Gi, 20Gi or more", "such as 40Gi"


def _matches(pattern: str, what: str, hint: str) -> Callable[[str, Series], Found | None]:
    def check(text: str, series: Series) -> Found | None:  # noqa: ARG001
        return None if re.fullmatch(pattern, text) else (f"`{text}` is no {what}", hint)

    return check


CHECKS: Mapping[Form, Callable[[str, Series], Found | None]] = {
    Form.RANGES: _check_ranges,
    Form.SERVERS: _check_servers,
    Form.ADDRESS: _check_address,
    Form.SIZE: _check_size,
    Form.QUANTITY: _matches(r"[1-9][0-9]*([KMGT]i?)?", "quantity", "such as 20G or 20Gi"),
    Form.NUMBER: _matches(r"[1-9][0-9]*", "number", "a whole number above 0"),
    Form.URL: _matches(r"(https?|oci)://\S+", "URL", "such as https://charts.example.com"),
    Form.SECRET: _matches(r"[a-z0-9.-]+/[a-z0-9.-]+", "Secret", "write NAMESPACE/NAME"),
    Form.SETTING: _matches(r"[^=\s]+=.*", "setting", "write KEY=VALUE"),
    Form.BOOL: _matches(r"true|false", "choice", "true or false"),
    Form.FILE: _matches(r"/\S+", "absolute path", "a file that lies on the controllers, such as one of `files`"),
    Form.DOMAIN: _matches(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", "domain", "such as cluster.local"),
}


# --- how it is written ---------------------------------------------------------------------------


def show_arguments(addon: Addon) -> str:
    """What an add-on takes, as people write it."""
    shown = []
    for word in addon.words:
        text = f"{word.key}={word.form}" if word.key else str(word.form)
        shown.append(text if word.is_required else f"[{text}]")
    shown += [show_flag(flag, flag.names[-1]) for flag in addon.flags]
    return "  ".join(shown)


def show_flag(flag: Flag, name: str) -> str:
    """One flag with what stands for its value."""
    if not flag.takes_value:
        return name
    value = "|".join(flag.choices) or str(flag.form)
    return f"{name}{'=' if flag.spelling is Spelling.JOINED else ' '}{value}"
