"""Which programs the hosts of tests and of the demo get: a mirror's, downloaded ones, or the stand-in.

`python -m tests.programs` says it in words; with `--mirror INVENTORY` it prints the mirror folder to use, or nothing
where the real programs can be downloaded.
"""

import argparse
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from platformdirs import user_cache_path

VERSION = "v1.36.3+k3s1"
NEXT_VERSION = "v1.36.4+k3s1"
STANDIN = Path(__file__).parent / "standins" / "k3s" / "build.py"
UPSTREAM = "https://github.com/k3s-io/k3s/releases/download/v1.36.3%2Bk3s1/sha256sum-amd64.txt"


def build_standin(*versions: str) -> Path:
    """A mirror folder with the stand-in, in the release's layout; built once and kept in the cache."""
    folder = user_cache_path("bootstrap") / "standins" / "k3s"
    for version in versions:
        command = [
            sys.executable,
            str(STANDIN),
            "--version",
            version,
            "--arch",
            "amd64",
            "--output",
            str(folder / version),
        ]
        subprocess.run(command, check=True, stdout=sys.stderr)
    return folder


def can_download() -> bool:
    """Whether the release can be reached from here within seconds."""
    try:
        with urllib.request.urlopen(UPSTREAM, timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def find_mirror() -> str:
    """BOOTSTRAP_MIRROR; nothing where k3s can be downloaded; else a folder with the stand-in."""
    given = os.environ.get("BOOTSTRAP_MIRROR", "")
    return given or ("" if can_download() else str(build_standin(VERSION)))


def describe(mirror: str) -> str:
    if not mirror:
        return "the real k3s, downloaded from its releases"
    if Path(mirror) == user_cache_path("bootstrap") / "standins" / "k3s":
        return (
            "a STAND-IN for k3s: the real one can't be downloaded here (a mirror folder in BOOTSTRAP_MIRROR brings it)"
        )
    return f"what the mirror {mirror} holds"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mirror", action="store_true")
    arguments, _ = parser.parse_known_args()
    mirror = find_mirror()
    print(mirror if arguments.mirror else f"hosts get {describe(mirror)}")


if __name__ == "__main__":
    main()
