"""k0s versions: their grammar, their order, and what goes with a minor. Pure."""

import re
from dataclasses import dataclass
from functools import total_ordering

GRAMMAR = re.compile(r"v(\d+)\.(\d+)\.(\d+)(?:-(alpha|beta|rc)\.(\d+))?\+k0s\.(\d+)")
OLDEST, NEWEST = (1, 34), (1, 37)  # minors that this program was made with
LEAST = (1, 31)  # `k0s status` names the flags of its service, and etcd members have objects
CGROUP_2 = (1, 35)  # from 1.35.4 on k0s refuses cgroup v1 (`k0s sysinfo`)
BUNDLE_NAMES_SYSTEM = (1, 36)  # k0s-airgap-bundle-<tag>-linux-<arch>.tar from here on
RELEASES_HINT = "take the exact release, such as v1.36.3+k0s.2"


@total_ordering
@dataclass(frozen=True)
class Version:
    """`vX.Y.Z+k0s.N`, or `vX.Y.Z-rc.M+k0s.N` and its like, which come before their release."""

    major: int
    minor: int
    patch: int
    build: int
    stage: str = ""  # alpha, beta, rc; empty for a release
    number: int = 0

    @property
    def series(self) -> tuple[int, int]:
        return (self.major, self.minor)

    @property
    def order(self) -> tuple[int, int, int, str, int, int]:
        stage = self.stage or "~"  # ~ sorts behind letters
        return (self.major, self.minor, self.patch, stage, self.number, self.build)

    def __lt__(self, other: "Version") -> bool:
        return self.order < other.order


def parse_version(text: str) -> Version:
    """Raises ValueError for what is no k0s release."""
    match = GRAMMAR.fullmatch(text)
    if match is None:
        raise ValueError(f"{text} is no k0s version")
    major, minor, patch, stage, number, build = match.groups()
    return Version(int(major), int(minor), int(patch), int(build), stage or "", int(number or 0))


def check_version(text: str) -> tuple[str, str]:
    """What is wrong with a version and a hint, both empty when nothing is."""
    if not GRAMMAR.fullmatch(text):
        likely = _repair(text)
        hint = f"did you mean `{likely}`?" if GRAMMAR.fullmatch(likely) else RELEASES_HINT
        return f"`{text}` is no k0s release: those read vX.Y.Z+k0s.N", hint
    if parse_version(text).series < LEAST:
        needed = f"v{LEAST[0]}.{LEAST[1]}"
        return f"k0s {text} is too old to be asked what bootstrap must know", f"{needed} is the first minor that can be"
    return "", ""


def _repair(text: str) -> str:
    """What is usually meant: without `v`, with a dash for the plus, or without k0s' own number."""
    bare = re.sub(r"[+-](k3s|rke2)\S*$", "", text.removeprefix("v"))
    bare = re.sub(r"-k0s", "+k0s", bare)
    if "+k0s" not in bare:
        bare += "+k0s.0"
    return "v" + re.sub(r"\+k0s\.?(\d*)$", lambda match: f"+k0s.{match[1] or 0}", bare)


def note_version(text: str) -> str:
    """A remark on a version that this program was not made with; empty for one that it was."""
    series = parse_version(text).series
    minor = f"{series[0]}.{series[1]}"
    known = f"{OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"
    if series < OLDEST:
        return f"k0s {minor} is out of upstream's support; this program was made with {known}"
    if series > NEWEST:
        return f"k0s {minor} is newer than this program, which was made with {known}"
    return ""


def kubelet_version(text: str) -> str:
    """What a Node says: k0s builds its kubelet without its own last number (embedded-bins/kubernetes/Dockerfile)."""
    return re.sub(r"\+k0s\.\d+$", "+k0s", text)
