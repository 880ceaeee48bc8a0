"""Builds the stand-in for snap and MicroK8s into a folder of a mirror; nothing but building lives here."""

import base64
import hashlib
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from compiling import compile_program, fingerprint, replace_text, run_builder  # noqa: E402  (a script finds its neighbours so)

ARCHITECTURES = ("amd64", "arm64")
STAMP = ".standin"


@dataclass(frozen=True)
class Release:
    """What to build: a track such as 1.36 or 1.36-strict, an architecture, and the folder to fill."""

    version: str
    arch: str
    output: Path

    def file(self, name: str) -> Path:
        """`microk8s.snap`; other architectures than amd64 are in the name."""
        stem, _, ending = name.partition(".")
        suffix = "" if self.arch == "amd64" else f"-{self.arch}"
        return self.output / f"{stem}{suffix}.{ending}"

    @property
    def stamp(self) -> Path:
        return self.output / f"{STAMP}-{self.arch}"

    @property
    def revision(self) -> int:
        """A number that grows with the version: that of 1.36 is 8360."""
        return 8000 + int("".join(re.findall(r"\d+", self.version)[1:2]) or 0) * 10 + self.version.endswith("-strict")


def main(arguments: Sequence[str] | None = None) -> int:
    return run_builder(arguments, __doc__ or "", "1.36", ARCHITECTURES, lambda *given: build(Release(*given)))


def build(release: Release) -> None:
    """Fills the folder unless a stamp in it says that it holds exactly this. Raises BuildError."""
    wanted = fingerprint("microk8s", f"{release.version} {release.arch}")
    snap = release.file("microk8s.snap")
    if release.stamp.is_file() and release.stamp.read_text() == wanted and snap.is_file():
        return
    release.output.mkdir(parents=True, exist_ok=True)
    compile_program("microk8s", release.version, release.arch, snap)
    base = {"name": "core22", "version": "20260612", "confinement": "strict"}
    replace_text(release.file("core22.snap"), f"stand-in snap\n{json.dumps(base)}\n")
    replace_text(release.file("microk8s.assert"), assertions("microk8s", snap, release.revision))
    replace_text(release.file("core22.assert"), assertions("core22", release.file("core22.snap"), 2045))
    lay_snapd(release)
    replace_text(release.stamp, wanted)


def lay_snapd(release: Release) -> None:
    """The program `snap` for hosts, which is the same program under another name."""
    target = release.output / "snapd" / release.file("snap.").name.rstrip(".")
    target.parent.mkdir(exist_ok=True)
    target.unlink(missing_ok=True)
    target.hardlink_to(release.file("microk8s.snap"))


def assertions(name: str, snap: Path, revision: int) -> str:
    """What `snap download` lays beside a snap, with the headers that count and signatures that nobody made."""
    digest = base64.urlsafe_b64encode(hashlib.sha3_384(snap.read_bytes()).digest()).decode().rstrip("=")
    key = "stand-in-" + "k" * 55
    statements = (
        {"type": "account-key", "authority-id": "canonical", "public-key-sha3-384": key, "account-id": "canonical"},
        {"type": "snap-declaration", "authority-id": "canonical", "series": 16, "snap-name": name},
        {
            "type": "snap-revision",
            "authority-id": "canonical",
            "snap-sha3-384": digest,
            "snap-size": snap.stat().st_size,
            "snap-revision": revision,
        },
    )
    parts = [
        "".join(f"{key}: {value}\n" for key, value in {**each, "sign-key-sha3-384": key}.items()) for each in statements
    ]
    return "\n".join(f"{part}\nAcLBUgQAAQoABgUCstandin\n" for part in parts)


if __name__ == "__main__":
    sys.exit(main())
