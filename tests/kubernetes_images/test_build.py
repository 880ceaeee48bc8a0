"""The build of Kubernetes without a compiler: when it has something to do, what it leaves, and what it says when it can't."""

import hashlib
import json
import os
import platform
import tarfile
import threading
from pathlib import Path

import pytest

from bootstrap.images import File
from tests.kubernetes import build as building
from tests.kubernetes import packing, toolchain
from tests.kubernetes.build import MACHINES, Release
from tests.kubernetes.toolchain import BuildError, Go

VERSION = toolchain.pinned("k8s.io/kubernetes")
MINOR = VERSION.rpartition(".")[0]
ARCH = MACHINES.get(platform.machine(), "")
ETCD = toolchain.pinned("go.etcd.io/etcd/server/v3").removeprefix("v")
DNS = toolchain.pinned("github.com/coredns/coredns")
NAMES = [
    f"r.example/kube-proxy:{VERSION}",
    f"r.example/etcd:{ETCD}-0",
    f"r.example/coredns/coredns:{DNS}",
    "r.example/pause:9",
]
# Writes a line per call, and for each program a script that answers like kubeadm.
COMPILER = """#!/bin/sh
echo "$*" >> {log}
case $1 in
version) echo go version {version} linux/{arch} ;;
build)
    {build}
    while [ "$1" != -o ]; do shift; done
    printf '#!/bin/sh\\nprintf "%s\\\\n" {names}\\n' '%s\\n' > "$2"
    chmod +x "$2" ;;
esac
"""

pytestmark = pytest.mark.skipif(not ARCH, reason=f"Kubernetes is built for {', '.join(MACHINES)}")


@pytest.fixture
def release(tmp_path) -> Release:
    return Release(VERSION, ARCH, tmp_path / "mirror" / VERSION)


@pytest.fixture
def no_go(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(toolchain, "STANDARD_PLACE", "/nowhere")


@pytest.fixture
def install_go(tmp_path, monkeypatch):
    """Installs a compiler that only pretends; returns the file with its calls."""
    log = tmp_path / "calls"
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(packing, "find_debian", lambda tell: tmp_path)
    monkeypatch.setattr(packing, "list_network_tools", lambda debian, arch: {"usr/sbin/nft": File(b"nft")})

    def install(version: str = "go1.99.0", build: str = "") -> Path:
        go = tmp_path / "bin" / "go"
        go.parent.mkdir(exist_ok=True)
        go.write_text(COMPILER.format(log=log, version=version, arch=ARCH, build=build, names=" ".join(NAMES)))
        go.chmod(0o755)
        return log

    return install


KUBECTL = f"bin/linux/{ARCH}/kubectl"


def run(release: Release, capsys) -> tuple[int, str]:
    code = building.main(["--version", release.version, "--arch", release.arch, "--output", str(release.output)])
    return code, capsys.readouterr().err


def builds(log: Path) -> list[str]:
    return [line.split()[-1].rpartition("/")[2] for line in log.read_text().splitlines() if line.startswith("build ")]


# ---- the compiler


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26, 8)),
        ("go version go1.26 linux/amd64", (1, 26, 0)),
        ("go version go1.26rc1 linux/amd64", (1, 26, 0)),
        ("go version devel go1.27-8a7d3f Tue", (1, 27, 0)),
        ("go 1.26.0", (1, 26, 0)),
        ("go version unknown", (0, 0, 0)),
    ],
)
def test_the_version_of_a_compiler_is_read(text, version):
    assert toolchain.parse_version(text) == version


def test_without_go_one_line_says_what_to_install(release, no_go, capsys):
    code, said = run(release, capsys)
    assert code == 1
    assert said.count("\n") == 1
    assert f"needs Go {'.'.join(map(str, toolchain.needed_go()))} or newer" in said
    assert "there is none; install" in said
    assert "GOTOOLCHAIN" not in said
    assert not release.output.exists()


@pytest.mark.parametrize(("version", "helps_itself"), [("go1.19.8", False), ("go1.24.4", True)])
def test_a_go_that_is_too_old_is_named_with_the_ways_out(release, install_go, capsys, version, helps_itself):
    log = install_go(version)
    code, said = run(release, capsys)
    assert (code, said.count("\n")) == (1, 1)
    assert f"bin/go is {version.removeprefix('go')}; install" in said
    assert ("GOTOOLCHAIN=auto" in said) is helps_itself
    assert builds(log) == []


def test_the_callers_choice_of_a_go_toolchain_stands(monkeypatch):
    monkeypatch.delenv("GOTOOLCHAIN", raising=False)
    assert toolchain.environment("amd64")["GOTOOLCHAIN"] == "local"
    monkeypatch.setenv("GOTOOLCHAIN", "auto")
    assert toolchain.environment("amd64")["GOTOOLCHAIN"] == "auto"


def test_settings_of_the_caller_do_not_change_what_is_built(monkeypatch):
    monkeypatch.setenv("GOFLAGS", "-mod=mod")
    monkeypatch.setenv("GOAMD64", "v3")
    settings = toolchain.environment("amd64")
    assert "-mod=readonly" in settings["GOFLAGS"]
    assert settings["GOAMD64"] == "v1"


def test_both_places_of_the_version_are_stamped():
    flags = toolchain.Workshop(Go("go", ""), "v1.36.3", "amd64", Path()).link_flags()
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
        assert f"-X {package}.gitVersion=v1.36.3 -X {package}.gitMajor=1 -X {package}.gitMinor=36" in flags


def test_what_the_compiler_says_is_shown_and_nothing_is_published(release, install_go, capsys):
    install_go(build="echo no space left on device >&2; exit 1")
    code, said = run(release, capsys)
    assert code == 1
    assert "go build failed:\nno space left on device" in said
    assert not [name for name in os.listdir(release.output) if not name.startswith(".")]


# ---- what is asked for


def test_a_version_that_is_not_pinned_is_refused(release, capsys):
    code, said = run(Release("v1.2.3", ARCH, release.output), capsys)
    assert (code, said) == (1, f"build.py: go.mod pins Kubernetes {VERSION}; v1.2.3 can't be built from it\n")


def test_sources_can_tell_another_patch_release_but_no_other_minor(release, install_go, capsys):
    log = install_go()
    code = building.main(
        ["--version", f"{MINOR}.99", "--sources", VERSION, "--arch", ARCH, "--output", str(release.output)]
    )
    assert code == 0
    assert f"gitVersion={MINOR}.99" in log.read_text()
    code = building.main(
        ["--version", "v1.99.0", "--sources", VERSION, "--arch", ARCH, "--output", str(release.output)]
    )
    assert code == 1
    assert "v1.99.0 is another minor" in capsys.readouterr().err


def test_another_architecture_is_refused(release, capsys):
    other = next(arch for arch in MACHINES.values() if arch != ARCH)
    code, said = run(Release(VERSION, other, release.output), capsys)
    assert code == 1
    assert f"images of {other}" in said


def test_etcd_and_coredns_of_go_mod_are_those_that_kubeadm_wants():
    packing.check_pins(NAMES)


@pytest.mark.parametrize("name", ["r.example/etcd:3.1.0-0", "r.example/coredns/coredns:v1.1.0"])
def test_a_pin_that_kubeadm_does_not_want_is_named(name):
    with pytest.raises(BuildError, match=r"this kubeadm wants (3\.1\.0|1\.1\.0)"):
        packing.check_pins([*NAMES, name])


# ---- a whole build, pretended


def test_a_build_leaves_what_a_mirror_of_the_release_holds(release, install_go, capsys):
    log = install_go()
    code, said = run(release, capsys)
    assert code == 0, said
    assert builds(log)[:4] == ["kubeadm", "kubelet", "kubectl", "cluster"]
    programs = [f"bin/linux/{ARCH}/{name}" for name in ("kubeadm", "kubectl", "kubelet")]
    files = [*programs, f"kubernetes-images-{ARCH}.tar"]
    found = {path.relative_to(release.output).as_posix() for path in release.output.rglob("*") if path.is_file()}
    assert {name for name in found if not name.startswith(".")} == {
        f"{name}{end}" for name in files for end in ("", ".sha256")
    }
    for name in files:
        digest = hashlib.sha256((release.output / name).read_bytes()).hexdigest()
        assert (release.output / f"{name}.sha256").read_text() == digest
    assert not release.unfinished.exists()


def test_the_archive_holds_the_images_that_kubeadm_names_and_kube_vip(release, install_go):
    install_go()
    building.build(release)
    with tarfile.open(release.output / release.images) as tar:
        index = json.load(tar.extractfile("index.json"))
    names = [image["annotations"]["io.containerd.image.name"] for image in index["manifests"]]
    assert names == sorted([*NAMES, packing.kube_vip_name()])


def test_two_builds_give_the_same_bytes(release, install_go, tmp_path):
    install_go()
    again = Release(VERSION, ARCH, tmp_path / "again")
    building.build(release)
    building.build(again)
    for name in release.files:
        assert (release.output / name).read_bytes() == (again.output / name).read_bytes()


def test_a_second_build_has_nothing_to_do(release, install_go, capsys):
    log = install_go()
    building.build(release)
    once = builds(log)
    capsys.readouterr()
    assert run(release, capsys) == (0, "")
    assert builds(log) == once


def test_two_builds_at_once_build_once(release, install_go, capsys):
    log = install_go(build="sleep 0.2")
    threads = [threading.Thread(target=building.build, args=(release,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert builds(log).count("kubelet") == 1
    assert building.is_current(release, None)
    assert f"waiting for another build into {release.output}" in capsys.readouterr().err


def test_a_finished_folder_needs_no_compiler(release, install_go, monkeypatch, capsys):
    install_go()
    building.build(release)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(toolchain, "STANDARD_PLACE", "/nowhere")
    capsys.readouterr()
    assert run(release, capsys) == (0, "")


def test_another_compiler_builds_again(release, install_go):
    log = install_go("go1.99.0")
    building.build(release)
    install_go("go1.99.1")
    building.build(release)
    assert builds(log).count("kubelet") == 2


def test_a_missing_file_is_built_again(release, install_go):
    log = install_go()
    building.build(release)
    (release.output / KUBECTL).unlink()
    building.build(release)
    assert builds(log).count("kubectl") == 2
    assert (release.output / KUBECTL).is_file()


def test_a_changed_source_builds_again(release, install_go, monkeypatch, tmp_path):
    log = install_go()
    building.build(release)
    source = tmp_path / "main.go"
    source.write_text("package main")
    monkeypatch.setattr(building, "ROOT", tmp_path)
    monkeypatch.setattr(building, "list_sources", lambda: [source])
    building.build(release)
    building.build(release)
    assert builds(log).count("kubelet") == 2


def test_all_that_decides_what_is_built_is_a_source():
    names = {path.relative_to(building.ROOT).as_posix() for path in building.list_sources()}
    own = {"go.mod", "go.sum", "build.py", "packing.py", "toolchain.py", "pause.c", "cluster/main.go", "pause/main.go"}
    own |= {"kubevip/go.mod", "kubevip/go.sum"}
    assert names == {f"tests/kubernetes/{name}" for name in own} | {"bootstrap/images.py"}


def test_what_an_interrupted_build_left_is_not_used(release, install_go):
    install_go()
    release.unfinished.mkdir(parents=True)
    (release.unfinished / "rest").write_text("half")
    building.build(release)
    assert not release.unfinished.exists()
    assert not (release.output / "rest").exists()


def test_a_folder_that_is_being_filled_does_not_count_as_finished(release, install_go, monkeypatch):
    install_go()
    building.build(release)
    (release.output / KUBECTL).unlink()
    monkeypatch.setattr(building.hashlib, "file_digest", lambda *given: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        building.build(release)
    assert not release.stamp.exists()


def test_a_source_that_changes_while_compilers_work_is_built_next_time(release, install_go, monkeypatch, tmp_path):
    source = tmp_path / "main.go"
    source.write_text("package main")
    monkeypatch.setattr(building, "ROOT", tmp_path)
    monkeypatch.setattr(building, "list_sources", lambda: [source])
    log = install_go(build=f"echo '// more' > {source}")
    building.build(release)
    building.build(release)
    assert builds(log).count("kubelet") == 2
