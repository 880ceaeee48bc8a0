"""k0s versions: their grammar, their order, and what goes with a minor. Pure."""

import re

from bootstrap.releases import Version, note_series, read_version

GRAMMAR = re.compile(
    r"v(?P<major>\d+)\.(?P<minor>\d+)\.(?P<patch>\d+)(?:-(?P<stage>alpha|beta|rc)\.(?P<number>\d+))?\+k0s\.(?P<build>\d+)"
)
OLDEST, NEWEST = (1, 34), (1, 37)  # minors that this program was made with
LEAST = (1, 31)  # `k0s status` names the flags of its service, and etcd members have objects
CGROUP_2 = (1, 35)  # from 1.35.4 on k0s refuses cgroup v1 (`k0s sysinfo`)
BUNDLE_NAMES_SYSTEM = (1, 36)  # k0s-airgap-bundle-<tag>-linux-<arch>.tar from here on
RELEASES_HINT = "take the exact release, such as v1.36.3+k0s.2"


def parse_version(text: str) -> Version:
    """Raises ValueError for what is no k0s release."""
    return read_version(GRAMMAR, text, "k0s")


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
    return note_series("k0s", parse_version(text).series, OLDEST, NEWEST)


def kubelet_version(text: str) -> str:
    """What a Node says: k0s builds its kubelet without its own last number (embedded-bins/kubernetes/Dockerfile)."""
    return re.sub(r"\+k0s\.\d+$", "+k0s", text)
