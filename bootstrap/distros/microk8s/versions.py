"""Tracks and channels of the MicroK8s snap: their grammar, and what goes with a minor. Pure."""

import re

from bootstrap.model import Inventory

TRACK = re.compile(r"(\d+)\.(\d+)(-strict)?")
RISKS = ("stable", "candidate", "beta", "edge")
OLDEST = (1, 28)  # before it, nodes join only those whose names are in their /etc/hosts (microk8s #3225)
NEWEST = (1, 36)  # what this program was made with
TRACK_HINT = 'a track, in quotes, such as "1.36" or "1.36-strict"'
Series = tuple[int, int]


def parse_track(text: str) -> Series:
    """Major and minor of a track. Raises ValueError for what is none."""
    match = TRACK.fullmatch(text)
    if match is None:
        raise ValueError(f"{text} is no track of MicroK8s")
    return (int(match[1]), int(match[2]))


def snap_series(version: str) -> Series | None:
    """Major and minor of `v1.36.1`, as `snap list` shows it; None for what is no version."""
    match = re.match(r"v?(\d+)\.(\d+)(?:\.|$)", version)
    return (int(match[1]), int(match[2])) if match else None


def series_of(inventory: Inventory) -> Series:
    """Major and minor of the inventory's version; the newest known where it is no track, which is told elsewhere."""
    return parse_track(inventory.version) if TRACK.fullmatch(inventory.version) else NEWEST


def is_strict(inventory: Inventory) -> bool:
    """Whether the snap is confined: no `--classic`, and its group is `snap_microk8s`."""
    return inventory.version.endswith("-strict")


def channel_of(inventory: Inventory) -> str:
    """The channel that hosts follow."""
    return str(inventory.native.get("channel") or f"{inventory.version}/stable")


def kubelet_version(inventory: Inventory) -> str:
    """`v1.36` of `1.36-strict`: a channel names a minor, and the store decides which patch release it is."""
    major, minor = series_of(inventory)
    return f"v{major}.{minor}"


def check_version(text: str) -> tuple[str, str]:
    """What is wrong with a version and a hint, both empty when nothing is."""
    if text.startswith("latest"):
        return "`latest` goes from minor to minor by itself", TRACK_HINT
    if "/" in text:
        track = text.partition("/")[0]
        risk = "" if text.endswith("/stable") else f", and `microk8s: {{channel: {text}}}`"
        return f"`{text}` is a channel", f'write the track: "{track}"{risk}'
    if not TRACK.fullmatch(text):
        likely = _repair(text)
        hint = f'did you mean "{likely}"? `microk8s.revision` pins one build' if likely else TRACK_HINT
        return f"`{text}` is no track of MicroK8s: those read X.Y", hint
    if parse_track(text) < OLDEST:
        oldest = f"{OLDEST[0]}.{OLDEST[1]}"
        return (
            f"MicroK8s {text} is too old: before {oldest} nodes join only with /etc/hosts on each",
            f"take {oldest} or later",
        )
    return "", ""


def _repair(text: str) -> str:
    """The track that is usually meant: with `v`, with a patch release, or another distribution's tag."""
    match = re.match(r"v?(\d+\.\d+)(?:\.\d+)?(-strict)?", text)
    return f"{match[1]}{match[2] or ''}" if match else ""


def check_channel(version: str, channel: str) -> tuple[str, str]:
    """What is wrong with a channel beside a version, and a hint."""
    track, _, rest = channel.partition("/")
    usual = f"write {version}/candidate, or leave it out for {version}/stable"
    if not rest:
        return f"`{channel}` is no channel: those read TRACK/RISK", usual
    if rest.partition("/")[0] not in RISKS:
        return f"`{channel}` is no channel: the risk is one of {', '.join(RISKS)}", usual
    if track != version:
        return f"the channel {channel} is of another track than `version`, which is {version}", usual
    return "", ""


def note_version(inventory: Inventory) -> str:
    """A remark on a version that this program was not made with; empty for one that it was."""
    series = series_of(inventory)
    if series <= NEWEST:
        return ""
    known = f"{OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"
    return f"MicroK8s {inventory.version} is newer than this program, which was made with {known}"
