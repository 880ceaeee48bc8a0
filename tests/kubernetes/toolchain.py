"""The Go and C compilers: finding them, and calling them for one release. What is built from what is known elsewhere."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
KUBE_VIP, KUBE_VIP_FOLDER = "github.com/kube-vip/kube-vip", HERE / "kubevip"
# Where Kubernetes' programs keep the version that they tell; without it kubeadm takes itself for v0.0.0.
VERSION_PACKAGES = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
STANDARD_PLACE = "/usr/local/go/bin"  # not everybody who unpacks Go there changes PATH too


class BuildError(Exception):
    """Kubernetes can't be built; the text says why and what to do."""


@dataclass(frozen=True)
class Go:
    """A Go compiler: its path, and what `go version` says of it."""

    path: str
    text: str

    @property
    def version(self) -> tuple[int, ...]:
        return parse_version(self.text)


def parse_version(text: str) -> tuple[int, ...]:
    """(1, 26, 8) of `go version go1.26.8 linux/amd64` and of `go 1.26.8`; zeros when there is none."""
    found = re.search(r"\bgo ?(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part or 0) for part in found.groups()) if found else (0, 0, 0)


def pinned(module: str, folder: Path = HERE) -> str:
    """The version of a module that go.mod requires, such as v1.36.3. Raises BuildError when it requires none."""
    found = re.search(rf"^(?:require)?\s+{re.escape(module)} (v\S+)", (folder / "go.mod").read_text(), re.MULTILINE)
    if not found:
        raise BuildError(f"{folder / 'go.mod'} does not require {module}")
    return found[1]


def needed_go() -> tuple[int, ...]:
    """The oldest Go that takes the modules: the `go` line of go.mod."""
    return parse_version(next(line for line in (HERE / "go.mod").read_text().splitlines() if line.startswith("go ")))


def environment(arch: str) -> dict[str, str]:
    """The caller's environment, and all that would change what comes out.

    The caller's GOTOOLCHAIN stands: with `auto`, Go 1.21 and newer fetch a compiler that is new enough.
    """
    settings = {"CGO_ENABLED": "0", "GOOS": "linux", "GOARCH": arch, "GOAMD64": "v1", "GOARM64": "v8.0"}
    settings |= {"GOFLAGS": "-mod=readonly -trimpath -buildvcs=false", "GOWORK": "off", "GOEXPERIMENT": ""}
    return {"GOTOOLCHAIN": "local", **os.environ, **settings}


def find_go(arch: str) -> Go | None:
    """The Go compiler of this machine, whatever its age."""
    path = shutil.which("go") or shutil.which("go", path=STANDARD_PLACE)
    if path is None:
        return None
    done = subprocess.run(
        [path, "version"], cwd=HERE, env=environment(arch), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise BuildError(f"{path} version fails: {last_lines(done.stderr, 1)}")
    return Go(path, done.stdout.strip())


def require_go(go: Go | None) -> Go:
    """The compiler, if it will do. Raises BuildError when there is none or it is too old."""
    needed = needed_go()
    if go is not None and go.version >= needed:
        return go
    number = ".".join(map(str, needed))
    found = "there is none" if go is None else f"{go.path} is {'.'.join(map(str, go.version))}"
    ways = [f"install Go {number} or newer from your distribution or go.dev"]
    if go is not None and go.version >= (1, 21, 0):
        ways.append("set GOTOOLCHAIN=auto and run this again, and Go fetches it by itself")
    raise BuildError(f"building Kubernetes needs Go {number} or newer, and {found}; {', or '.join(ways)}")


@dataclass(frozen=True)
class Workshop:
    """Compilers at work for one version and architecture; programs go into `folder`."""

    go: Go
    version: str
    arch: str
    folder: Path

    def fetch_modules(self, *packages: str) -> None:
        """All that the packages need, and nothing for their tests. Raises BuildError."""
        self._run_go("list", "-deps", *packages)

    def compile(self, package: str, name: str) -> None:
        """One static program. Raises BuildError."""
        self._run_go("build", "-ldflags", self.link_flags(), "-o", str(self.folder / name), package)

    def compile_kube_vip(self) -> None:
        """From a go.mod of its own: its needs and those of Kubernetes differ. Raises BuildError."""
        flags = f"-s -w -X main.Version={pinned(KUBE_VIP, KUBE_VIP_FOLDER)}"
        self._run_go("build", "-ldflags", flags, "-o", str(self.folder / "kube-vip"), KUBE_VIP, folder=KUBE_VIP_FOLDER)

    def link_flags(self) -> str:
        major, minor, _ = self.version.removeprefix("v").split(".", 2)
        values = {"gitVersion": self.version, "gitMajor": major, "gitMinor": minor, "gitCommit": "", "gitTreeState": ""}
        stamps = [f"-X {package}.{name}={value}" for package in VERSION_PACKAGES for name, value in values.items()]
        return " ".join(["-s", "-w", *stamps])

    def compile_pause(self) -> None:
        """From C, 800 kB; a machine without a C compiler, or without a static C library, gets the same from Go."""
        source, output = str(HERE / "pause.c"), str(self.folder / "pause")
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None or run([compiler, "-Os", "-static", "-s", "-o", output, source], self.arch).returncode != 0:
            self.compile("./pause", "pause")

    def _run_go(self, *words: str, folder: Path = HERE) -> None:
        done = run([self.go.path, *words], self.arch, folder)
        if done.returncode != 0:
            raise BuildError(f"go {words[0]} failed:\n{last_lines(done.stderr, 12)}")


def run(command: Sequence[str], arch: str, folder: Path = HERE) -> subprocess.CompletedProcess[str]:
    """Open files are left to the program: one that outlives a killed build still holds the lock of the folder."""
    return subprocess.run(
        command, cwd=folder, env=environment(arch), capture_output=True, text=True, check=False, close_fds=False
    )


def last_lines(text: str, count: int) -> str:
    return "\n".join(text.strip().splitlines()[-count:])
