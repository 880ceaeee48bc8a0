"""k3s version strings: their grammar, their order, and what a release has. Pure."""

import re

from bootstrap.distros.k3s.keys import Key
from bootstrap.releases import Version, note_series, read_version

KEYS_OF = (1, 36)  # the minor whose keys are known one by one
OLDEST, NEWEST = (1, 34), (1, 37)  # minors that this program was made with
GRAMMAR = re.compile(
    r"v(?P<major>\d+)\.(?P<minor>\d+)\.(?P<patch>\d+)(?:-(?P<stage>rc)(?P<number>\d+))?\+k3s(?P<build>\d+)"
)
RELEASES_HINT = "take the exact tag from the list of k3s releases, such as v1.36.3+k3s1"


def parse_version(text: str) -> Version:
    """Raises ValueError for what is no k3s release."""
    return read_version(GRAMMAR, text, "k3s")


def check_version(text: str) -> tuple[str, str]:
    """What is wrong with a version and a hint, both empty when nothing is."""
    if GRAMMAR.fullmatch(text):
        return "", ""
    likely = _repair(text)
    hint = f"did you mean `{likely}`?" if GRAMMAR.fullmatch(likely) else RELEASES_HINT
    return f"`{text}` is no k3s release: those read vX.Y.Z+k3sN", hint


def _repair(text: str) -> str:
    """What is usually meant: the tag without its `v`, as a container tag, or the Kubernetes version alone."""
    tag = re.sub(r"-(k3s\d+)$", r"+\1", text if text.startswith("v") else f"v{text}")
    return tag if "+" in tag else f"{tag}+k3s1"


def note_version(text: str) -> str:
    """A remark on a version that this program was not made with; empty for one that it was."""
    series = parse_version(text).series
    newer = ": its new keys are not known here" if series > NEWEST else ""
    return note_series("k3s", series, OLDEST, NEWEST) + newer


def lacks_key(version: Version, key: Key) -> bool:
    """Whether the key came later than this release. `since` names the first release of each minor that has it."""
    firsts = sorted(tuple(map(int, release.split("."))) for release in key.since)
    if not firsts:
        return False
    same = next((first for first in firsts if first[:2] == version.series), None)
    if same:
        return version.patch < same[2]
    return version.series < firsts[-1][:2]
