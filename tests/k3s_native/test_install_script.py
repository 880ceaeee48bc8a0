"""The install script, run for real with a k3s and an installer that only tell what they were given."""

import hashlib
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from bootstrap.distros.k3s.files import templates
from bootstrap.distros.k3s.layout import SCRIPT
from bootstrap.model import Role
from bootstrap.render import render
from tests.k3s_native.inventories import make_host, make_inventory

VERSION = "v1.36.3+k3s1"


class Bench:
    """A folder with all that the script looks at."""

    def __init__(self, folder: Path, role: Role) -> None:
        self.folder = folder
        self.inventory = make_inventory(make_host("one"), make_host("two", role))
        self.put("k3s", f"#!/bin/sh\necho 'k3s version {VERSION} (af977adf)'\necho 'go version go1.26.8'\n")
        self.put("installer", "env\n")
        self.put("config.yaml", "token: 'abc'\n")
        self.put("join.yaml", "server: https://192.168.1.11:6443\n")
        self.put("bin/id", "#!/bin/sh\necho 0\n")  # root, as far as the script is concerned
        self.sums = {"binary_sha256": "", "installer_sha256": ""}

    def put(self, name: str, content: str) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
        path.chmod(0o755)

    def run(self, **environment: str) -> "subprocess.CompletedProcess[str]":
        places = {"binary": "k3s", "installer": "installer", "config": "config.yaml", "join": "join.yaml"}
        variables = {name: str(self.folder / place) for name, place in places.items()} | self.sums
        use = next(use for use in templates(self.inventory) if use.host == "two" and use.path == SCRIPT)
        (script,) = render(self.inventory, [replace(use, variables=use.variables | variables)])
        path = f"{self.folder}/bin:{os.environ['PATH']}"
        return subprocess.run(
            ["sh", "-s"], input=script.content, env={"PATH": path} | environment, capture_output=True, text=True
        )


@pytest.fixture
def agent(tmp_path: Path) -> Bench:
    return Bench(tmp_path, Role.WORKER)


@pytest.fixture
def server(tmp_path: Path) -> Bench:
    return Bench(tmp_path, Role.CONTROLLER)


def read_environment(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines())


def test_the_installer_is_told_the_role_and_neither_to_download_nor_to_start(agent: Bench, tmp_path: Path) -> None:
    given = read_environment(agent.run().stdout)
    assert {name: value for name, value in given.items() if name.startswith("INSTALL_")} == {
        "INSTALL_K3S_SKIP_DOWNLOAD": "true",
        "INSTALL_K3S_SKIP_START": "true",
        "INSTALL_K3S_BIN_DIR": "/usr/local/bin",
        "INSTALL_K3S_EXEC": "agent",
    }


def test_a_server_is_installed_as_one_and_may_have_no_join_file(server: Bench) -> None:
    (server.folder / "join.yaml").unlink()
    assert read_environment(server.run().stdout)["INSTALL_K3S_EXEC"] == "server"


def test_nothing_of_the_caller_s_environment_reaches_the_installer(agent: Bench) -> None:
    done = agent.run(
        K3S_TOKEN="secret", K3S_URL="https://x", HTTPS_PROXY="http://p", CONTAINERD_X="y", INSTALL_K3S_CHANNEL="z"
    )
    assert done.returncode == 0
    assert read_environment(done.stdout).keys() - {"PWD", "SHLVL", "_"} == {
        "HOME", "PATH", "INSTALL_K3S_SKIP_DOWNLOAD", "INSTALL_K3S_SKIP_START", "INSTALL_K3S_BIN_DIR", "INSTALL_K3S_EXEC",
    }  # fmt: skip


def test_the_installer_s_exit_code_is_the_script_s(agent: Bench) -> None:
    agent.put("installer", "exit 7\n")
    assert agent.run().returncode == 7


@pytest.mark.parametrize("name", ["k3s", "installer", "config.yaml"])
def test_a_missing_file_stops_the_script(agent: Bench, name: str) -> None:
    (agent.folder / name).unlink()
    done = agent.run()
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{name} is missing: `bootstrap apply` puts it there" in done.stderr


def test_another_k3s_than_the_inventory_s_stops_the_script(agent: Bench) -> None:
    agent.put("k3s", "#!/bin/sh\necho 'k3s version v1.35.0+k3s1 (abc)'\n")
    done = agent.run()
    assert (done.returncode, done.stdout) == (1, "")
    assert f"k3s is v1.35.0+k3s1, not {VERSION}" in done.stderr


def test_what_is_no_k3s_at_all_stops_the_script(agent: Bench) -> None:
    agent.put("k3s", "#!/bin/sh\nexit 3\n")
    assert f"k3s is no k3s, not {VERSION}" in agent.run().stderr


def test_without_a_token_nothing_is_installed_for_a_server_would_found_a_cluster(server: Bench) -> None:
    server.put("config.yaml", "node-name: two\n")
    done = server.run()
    assert (done.returncode, done.stdout) == (1, "")
    assert "config.yaml has no token" in done.stderr


def test_an_agent_without_a_server_is_not_installed(agent: Bench) -> None:
    agent.put("join.yaml", "# nothing\n")
    assert "names no server to join" in agent.run().stderr


def test_only_root_may_install(agent: Bench) -> None:
    agent.put("bin/id", "#!/bin/sh\necho 1000\n")
    done = agent.run()
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "k3s-install: this must run as root\n")


def test_checksums_of_the_lock_are_looked_at(agent: Bench) -> None:
    def digest(name: str) -> str:
        return hashlib.sha256((agent.folder / name).read_bytes()).hexdigest()

    agent.sums = {"binary_sha256": digest("k3s"), "installer_sha256": digest("installer")}
    assert agent.run().returncode == 0
    agent.put("installer", "env # changed\n")
    done = agent.run()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"k3s-install: {agent.folder}/installer is not the one of artifacts.lock\n"
