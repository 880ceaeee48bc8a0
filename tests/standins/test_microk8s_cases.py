"""What MicroK8s answers: of the stand-in always, and of the product's own scripts where a folder with their sources is given."""

import functools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.programs import SUPPLIES

SUPPLY = SUPPLIES["microk8s"]
VERSION = SUPPLY.versions[0]
HERE = Path(__file__).parent / "microk8s" / "cases"

# The sources of the product: a folder with canonical/microk8s in `microk8s` and canonical/microk8s-core-addons in
# `core-addons`, both of the branch of VERSION. Its scripts want a Python with click 8.0, PyYAML, requests, jsonschema
# and python-dateutil: MICROK8S_PYTHON, or this one.
SOURCES = os.environ.get("MICROK8S_SOURCES", "")
PYTHON = os.environ.get("MICROK8S_PYTHON", sys.executable)
MODULES = "import click, yaml, requests, jsonschema, dateutil; assert click.__version__.startswith('8.0')"

KUBECTL = """#!/bin/sh
[ ! -e "$SNAP_DATA/down" ] || { echo "The connection to the server 127.0.0.1:16443 was refused" >&2; exit 1; }
line=$(echo " $*" | sed 's/ --kubeconfig=[^ ]*//; s/^ //')
node() { echo "{\\"metadata\\":{\\"name\\":\\"$1\\"},\\"status\\":{\\"addresses\\":[{\\"type\\":\\"InternalIP\\",\\"address\\":\\"$2\\"}]}}"; }
case "$line" in
"get all"*) echo "default service/kubernetes ClusterIP"; echo "kube-system pod/coredns-1 1/1 Running" ;;
"get clusterroles"*) echo "clusterrole.rbac.authorization.k8s.io/x" ;;
"get nodes"*) echo "one Ready <none> 1d v1.36.1" ;;
"get no -o json") echo "{\\"items\\":[$(node one 10.1.2.3),$(node two 10.1.2.4)]}" ;;
"get no -o name") echo node/one; echo node/two ;;
"get no two"*|"delete no two") node two 10.1.2.4 ;;
"get no one"*) node one 10.1.2.3 ;;
"get no "*) echo "Error from server (NotFound)" >&2; exit 1 ;;
*) echo '{"items":[]}' ;;
esac
"""
DQLITE = """#!/bin/sh
echo '[{"ID":1,"Address":"10.1.2.3:19001","Role":0},{"ID":2,"Address":"10.1.2.4:19001","Role":2}]'
"""
SUDO = '#!/bin/bash\nwhile [[ "$1" == -* ]]; do shift; done\nexec env "$@"\n'
TOOLS = (
    "awk base64 basename bash cat chgrp chmod chown cmp cp cut date dirname echo env find getopt git grep head hostname id ip "
    "ls mkdir mktemp mv openssl paste readlink realpath rm sed seq sha256sum sleep sort tail tee test touch tr uname wc xargs"
)
NETIFACES = "AF_INET = 2\n\n\ndef interfaces():\n    return []\n\n\ndef ifaddresses(name):\n    return {}\n"


@dataclass(frozen=True)
class Case:
    """One command: its words, the node's state, standard input, and what it must answer (patterns of both streams)."""

    name: str
    words: tuple[str, ...]
    state: str = "running"
    input: str = ""
    code: int = 0
    stdout: str = ""
    stderr: str = ""


def read_cases() -> Iterator[Case]:
    for entry in yaml.safe_load((HERE / "commands.yaml").read_text()):
        yield Case(**{**entry, "words": tuple(entry["words"])})


CASES = tuple(read_cases())


@functools.cache
def build_standin() -> Path:
    if shutil.which("go") is None and not Path("/usr/local/go/bin/go").is_file():
        pytest.skip("no Go compiler: the stand-in for MicroK8s can't be built")
    return SUPPLY.make(VERSION) / VERSION / "microk8s.snap"


def write_program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(0o755)


class Node:
    """Folders that look to the commands like those of an installed snap; kubectl and dqlite are scripts."""

    def __init__(self, base: Path, state: str) -> None:
        self.snap, self.data, self.common = base / "snap", base / "data", base / "common"
        for folder in (
            self.snap / "bin",
            self.snap / "meta",
            self.data,
            self.common / "addons",
            self.common / "plugins",
        ):
            folder.mkdir(parents=True)
        self.state = state

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self.snap}/bin:{os.environ['PATH']}",
            "REAL_PATH": os.environ["PATH"],
            "REAL_LD_LIBRARY_PATH": "",
            "SNAP_LIBRARY_PATH": "",
            "HOME": str(self.common),
            "USER": "somebody",
            "SNAP": str(self.snap),
            "SNAP_DATA": str(self.data),
            "SNAP_COMMON": str(self.common),
            "SNAP_USER_DATA": str(self.common / "user"),
            "SNAP_USER_COMMON": str(self.common / "user"),
            "SNAP_NAME": "microk8s",
            "SNAP_REVISION": "8360",
            "SNAP_VERSION": "v1.36.1",
            "SNAP_ARCH": "amd64",
            "SNAPCRAFT_ARCH_TRIPLET": "x86_64-linux-gnu",
            "STANDIN_DQLITE_PAUSE_SECONDS": "0.1",
        }

    def lay_fakes(self) -> None:
        """What neither of the two brings here."""
        (self.snap / "meta" / "snap.yaml").write_text("name: microk8s\nconfinement: classic\n")
        write_program(self.snap / "kubectl", KUBECTL)
        write_program(self.snap / "bin" / "dqlite", DQLITE)
        for name in ("bin/helm", "bin/snapctl", "bin/snap", "bin/ctr"):
            write_program(self.snap / name, "#!/bin/sh\nexit 0\n")

    def lay_state(self) -> None:
        locks, backend = self.data / "var" / "lock", self.data / "var" / "kubernetes" / "backend"
        for folder in (locks, backend):
            folder.mkdir(parents=True, exist_ok=True)
        (locks / "ha-cluster").touch()
        (backend / "info.yaml").write_text("Address: 10.1.2.3:19001\nID: 1\nRole: 0\n")
        (backend / "cluster.yaml").write_text("- Address: 10.1.2.3:19001\n  ID: 1\n  Role: 0\n")
        if self.state != "down":
            (backend / "kine.sock:12379").touch()
        match self.state:
            case "stopped":
                (locks / "stopped.lock").touch()
            case "worker":
                for name in ("clustered.lock", "no-cert-reissue", "no-k8s-dqlite"):
                    (locks / name).touch()
            case "down":
                (self.data / "down").touch()
            case "small":
                (locks / "low-memory-guard.lock").touch()
            case "stranger":
                (self.data / "credentials" / "client.config").unlink()
            case "twice":
                shutil.copytree(self.common / "addons" / "core", self.common / "addons" / "other")

    def lay_community(self) -> None:
        """The list of add-ons that the snap carries and has not enabled."""
        entry = {"name": "argocd", "supported_architectures": ["amd64"], "check_status": "x"}
        path = self.snap / "addons" / "community" / "addons.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(yaml.safe_dump({"microk8s-addons": {"addons": [entry]}}))


@dataclass(frozen=True)
class Kept:
    """Files that take time to make: arguments, certificates and kubeconfigs of one node, as the stand-in installs them."""

    data: Path


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    node = Node(tmp_path_factory.mktemp("kept"), "running")
    program = node.snap / "bin" / "microk8s-standin"
    shutil.copy(build_standin(), program)
    node.lay_fakes()
    done = subprocess.run(
        [program, "hook", "install"], env=node.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return Kept(node.data)


def lay_standin(node: Node) -> list[str]:
    program = node.snap / "bin" / "microk8s-standin"
    program.hardlink_to(build_standin()) if same_disk(program, build_standin()) else shutil.copy(
        build_standin(), program
    )
    program.chmod(0o755)
    for name in ("microk8s", "standin-addon"):
        (node.snap / "bin" / name).symlink_to(program)
    core = node.common / "addons" / "core"
    subprocess.run([program, "lay-addons", str(core)], env=node.environment, check=True)
    return [str(node.snap / "bin" / "microk8s")]


def same_disk(one: Path, other: Path) -> bool:
    return one.parent.stat().st_dev == other.stat().st_dev


def lay_real(node: Node) -> list[str]:
    sources = Path(SOURCES)
    if not SOURCES or not (sources / "microk8s").is_dir():
        pytest.skip("no sources of MicroK8s: MICROK8S_SOURCES names no folder with `microk8s` and `core-addons`")
    if subprocess.run([PYTHON, "-c", MODULES], capture_output=True, check=False).returncode:
        pytest.skip(
            f"{PYTHON} lacks what MicroK8s' scripts import: set MICROK8S_PYTHON to one with click 8.0 and others"
        )
    resources = sources / "microk8s" / "microk8s-resources"
    shutil.copytree(resources / "wrappers", node.snap, dirs_exist_ok=True)
    for name in ("actions", "default-args", "certs"):
        shutil.copytree(resources / name, node.snap / name)
    shutil.copytree(sources / "microk8s" / "scripts", node.snap / "scripts")
    shutil.copytree(sources / "core-addons", node.common / "addons" / "core")
    lay_tools(node)
    return ["bash", str(node.snap / "microk8s.wrapper")]


def lay_tools(node: Node) -> None:
    for folder in ("bin", "usr/bin", "sbin", "usr/sbin"):
        (node.snap / folder).mkdir(parents=True, exist_ok=True)
        for name in TOOLS.split():
            found, link = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin"), node.snap / folder / name
            if found and not link.exists():
                link.symlink_to(found)
        (node.snap / folder / "gawk").symlink_to(shutil.which("gawk") or "/usr/bin/awk")
    write_program(node.snap / "bin" / "sudo", SUDO)
    write_program(node.snap / "usr" / "bin" / "sudo", SUDO)
    write_program(node.snap / "usr" / "bin" / "python3", f'#!/bin/sh\nexec "{PYTHON}" "$@"\n')
    (node.snap / "etc" / "ssl").mkdir(parents=True)
    shutil.copy("/etc/ssl/openssl.cnf", node.snap / "etc" / "ssl" / "openssl.cnf")
    modules = node.snap / "usr" / "lib" / "python3" / "dist-packages"
    modules.mkdir(parents=True)
    (modules / "netifaces.py").write_text(NETIFACES)


@pytest.mark.parametrize("lay", [lay_standin, lay_real], ids=["stand-in", "real"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_microk8s_answers_as_it_always_did(lay: Any, case: Case, kept: Kept, tmp_path: Path) -> None:
    node = Node(tmp_path, case.state)
    shutil.copytree(kept.data, node.data, dirs_exist_ok=True)
    command = lay(node)
    node.lay_fakes()
    node.lay_community()
    node.lay_state()
    done = subprocess.run(
        [*command, *case.words],
        input=case.input,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        env=node.environment,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (case.code, Matching(case.stdout), Matching(case.stderr))


class Matching:
    """Equals every text that a pattern matches as a whole."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and re.fullmatch(self.pattern, other) is not None

    def __hash__(self) -> int:
        return hash(self.pattern)

    def __repr__(self) -> str:
        return f"a text like {self.pattern!r}"
