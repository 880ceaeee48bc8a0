"""Which programs the hosts of tests and of the demo get: a mirror's, downloaded ones, or what this machine builds.

`python -m tests.programs` says it in words; with `--mirror DISTRIBUTION` it prints the mirror folder to use, or nothing
where the real programs can be downloaded. A folder in BOOTSTRAP_MIRROR counts where it holds the version that is wanted.
"""

import argparse
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Supply:
    """Where one distribution's programs come from: `url` answers where they can be downloaded, `builder` is our own."""

    versions: Sequence[str]  # the first is what hosts get, a second is what they go to
    url: str
    builder: Path
    folder: str  # below the cache
    words: str  # what our own build is
    downloader: Path | None = None  # fills the same folder from the release

    @property
    def cache(self) -> Path:
        return user_cache_path("bootstrap") / self.folder

    def make(self, *versions: str) -> Path:
        """A mirror folder in the release's layout; downloaded or built once, and kept in the cache."""
        folder = self.cache
        for version in versions:
            program = str(self.choose(version))
            command = [sys.executable, program, "--version", version, "--output", str(folder / version)]
            subprocess.run(command, check=True, stdout=sys.stderr, env={"GOTOOLCHAIN": "auto", **os.environ})
        return folder

    def choose(self, version: str) -> Path:
        """The program that fills a version's folder. What was downloaded is kept where nothing can be downloaded."""
        if self.downloader and (self.is_downloaded(version) or can_download(self.url)):
            return self.downloader
        return self.builder

    def is_downloaded(self, version: str) -> bool:
        return (self.cache / version / ".downloaded").is_file()

    def find_given(self) -> Path | None:
        """BOOTSTRAP_MIRROR, if it has this distribution's version."""
        given = os.environ.get("BOOTSTRAP_MIRROR")
        holds = given and any(Path(given).rglob(self.versions[0]))
        return Path(given) if given and holds else None

    def find_mirror(self) -> Path:
        """For tests: what is given, else what is downloaded or built here."""
        return self.find_given() or self.make(*self.versions)


SUPPLIES = {
    "kubeadm": Supply(
        versions=("v1.36.3",),
        url="https://dl.k8s.io/release/v1.36.3/bin/linux/amd64/kubeadm.sha256",
        builder=HERE / "kubernetes" / "build.py",
        folder="kubernetes",
        words="the real Kubernetes, built from its Go modules",
        downloader=HERE / "kubernetes" / "download.py",
    ),
    "k3s": Supply(
        versions=("v1.36.3+k3s1", "v1.36.4+k3s1"),
        url="https://github.com/k3s-io/k3s/releases/download/v1.36.3%2Bk3s1/sha256sum-amd64.txt",
        builder=HERE / "standins" / "k3s" / "build.py",
        folder="standins/k3s",
        words="a STAND-IN for k3s (a mirror folder in BOOTSTRAP_MIRROR brings the real one)",
    ),
    "k0s": Supply(
        versions=("v1.36.3+k0s.2", "v1.36.4+k0s.0"),
        url="https://github.com/k0sproject/k0s/releases/download/v1.36.3%2Bk0s.2/sha256sums.txt",
        builder=HERE / "standins" / "k0s" / "build.py",
        folder="standins/k0s",
        words="a STAND-IN for k0s (a mirror folder in BOOTSTRAP_MIRROR brings the real one)",
    ),
    "microk8s": Supply(
        versions=("1.36", "1.37"),
        url="https://snapcraft.io/microk8s",
        builder=HERE / "standins" / "microk8s" / "build.py",
        folder="standins/microk8s",
        words="a STAND-IN for snap and MicroK8s (a mirror folder in BOOTSTRAP_MIRROR brings the real one)",
    ),
}


def can_download(url: str) -> bool:
    """Whether the release can be reached from here within seconds."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def find_demo_mirror(supply: Supply) -> str:
    """A folder; nothing where hosts get what the lock says from the release itself."""
    given = supply.find_given()
    if given:
        return str(given)
    if not supply.downloader and can_download(supply.url):
        return ""
    return str(supply.make(supply.versions[0]))


def describe(supply: Supply) -> str:
    given = supply.find_given()
    if given:
        return f"what the mirror {given} holds"
    return "the release itself, downloaded" if supply.is_downloaded(supply.versions[0]) else supply.words


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mirror", choices=sorted(SUPPLIES))
    parser.add_argument("--build", action="store_true", help="everything that tests on hosts need")
    arguments = parser.parse_args()
    if arguments.mirror:
        print(find_demo_mirror(SUPPLIES[arguments.mirror]))
        return
    for distribution, supply in SUPPLIES.items():
        if arguments.build:
            supply.find_mirror()
        print(f"{distribution}: {describe(supply)}")


if __name__ == "__main__":
    main()
