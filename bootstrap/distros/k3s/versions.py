"""k3s version strings: their grammar, their order, and what a release has. Pure."""

import re
from dataclasses import dataclass
from functools import total_ordering

from bootstrap.distros.k3s.keys import Key

KEYS_OF = (1, 36)  # the minor whose keys are known one by one
OLDEST, NEWEST = (1, 34), (1, 37)  # minors that this program was made with
GRAMMAR = re.compile(r"v(\d+)\.(\d+)\.(\d+)(?:-rc(\d+))?\+k3s(\d+)")
RELEASES_HINT = "take the exact tag from the list of k3s releases, such as v1.36.3+k3s1"


@total_ordering
@dataclass(frozen=True)
class Version:
    """`vX.Y.Z+k3sN`, or `vX.Y.Z-rcM+k3sN` for a candidate, which comes before its release."""

    major: int
    minor: int
    patch: int
    candidate: int | None
    build: int

    @property
    def series(self) -> tuple[int, int]:
        return (self.major, self.minor)

    @property
    def order(self) -> tuple[float, ...]:
        candidate = float("inf") if self.candidate is None else self.candidate
        return (self.major, self.minor, self.patch, candidate, self.build)

    def __lt__(self, other: "Version") -> bool:
        return self.order < other.order


def parse_version(text: str) -> Version:
    """Raises ValueError for what is no k3s release."""
    match = GRAMMAR.fullmatch(text)
    if match is None:
        raise ValueError(f"{text} is no k3s version")
    major, minor, patch, candidate, build = (None if part is None else int(part) for part in match.groups())
    return Version(major or 0, minor or 0, patch or 0, candidate, build or 0)


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
    minor = f"{series[0]}.{series[1]}"
    known = f"{OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"
    if series < OLDEST:
        return f"k3s {minor} is out of upstream's support; this program was made with {known}"
    if series > NEWEST:
        return f"k3s {minor} is newer than this program, which was made with {known}: its new keys are not known here"
    return ""


def lacks_key(version: Version, key: Key) -> bool:
    """Whether the key came later than this release. `since` names the first release of each minor that has it."""
    firsts = sorted(tuple(map(int, release.split("."))) for release in key.since)
    if not firsts:
        return False
    same = next((first for first in firsts if first[:2] == version.series), None)
    if same:
        return version.patch < same[2]
    return version.series < firsts[-1][:2]
