"""The commands that are measured, each with the files it reads. Writes below a work folder only."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from farm import PORT, Farm
from measure import Subject
from state import SERVICE_SCRIPT, State

HERE = Path(__file__).parent
BOOTSTRAP = str(Path(sys.executable).with_name("bootstrap"))
VERSION = "v1.36.3+k3s1"
HEAD = f"schema: bootstrap/v1\ncluster: bench\ndistro: k3s\nversion: {VERSION}\n"


# --- start-up ------------------------------------------------------------------------------------


def start_up_subjects(folder: Path) -> list[Subject]:
    """The interpreter alone, `--help`, and `validate` of an inventory of 100 hosts."""
    inventory = folder / "hundred.yaml"
    inventory.write_text(hundred_hosts())
    return [
        Subject("python -c pass", [sys.executable, "-c", "pass"]),
        Subject("bootstrap --help", [BOOTSTRAP, "--help"]),
        Subject("bootstrap validate", [BOOTSTRAP, "validate", str(inventory)]),
    ]


def hundred_hosts() -> str:
    """Each with an entry of its own: ranges would make it a short file."""
    lines = [
        HEAD + "ssh: {user: ops}",
        "network: {pods: 10.42.0.0/16, services: 10.43.0.0/16}",
        "groups:",
        "  fast: {labels: {disk: nvme}}",
        "k3s: {config: {disable: [traefik]}, server: {write-kubeconfig-mode: '0640'}}",
        "hosts:",
    ]
    for index in range(100):
        more = ", role: controller" if index < 3 else ", groups: [fast]" if index % 2 else ""
        lines.append(f"  node-{index}: {{address: 10.1.0.{index + 1}{more}, labels: {{rack: r{index % 8}}}}}")
    return "\n".join(lines) + "\n"


# --- the no-op -----------------------------------------------------------------------------------


def bootstrap_noop(folder: Path, farm: Farm, state: State, count: int) -> Subject:
    """`bootstrap plan` with exit code 0, which means that nothing is to be done."""
    write_repository(folder, state)
    lines = [HEAD + f"ssh: {{user: root, port: {PORT}, keys: [{farm.key}]}}", "hosts:"]
    for index, address in enumerate(farm.addresses[:count]):
        lines.append(f"  h{index}: {{address: {address}{'' if index else ', role: controller+worker'}}}")
    inventory = folder / f"hosts-{count}.yaml"
    inventory.write_text("\n".join(lines) + "\n")
    words = [sys.executable, str(HERE / "noop.py"), "plan", str(inventory), "--detailed-exitcode"]
    environment = {"BENCHMARK_STATE": json.dumps({**asdict(state), "binary": str(state.binary)}), "HOME": str(folder)}
    more = ["--known-hosts", str(farm.known_hosts)]
    return Subject("bootstrap", [*words, *more], environment, folder)


def write_repository(folder: Path, state: State) -> None:
    (folder / "templates" / "k3s").mkdir(parents=True, exist_ok=True)
    (folder / "templates" / "k3s" / "text").write_text("{{ text }}")
    from bootstrap.lock import format_lock
    from bootstrap.model import Lock, LockedFile

    url = "https://example.com/program"
    file = LockedFile("k3s", VERSION, "any", url, state.size, state.sha256)
    (folder / "artifacts.lock").write_text(format_lock(Lock((file,)), locked_by="benchmark"))


def ansible_noop(folder: Path, farm: Farm, state: State, count: int, bin_folder: Path) -> Subject:
    """Modules as a person would take them; pipelining, kept connections, no facts, 50 forks."""
    inventory = folder / f"ansible-{count}.ini"
    common = ["ansible_user=root", f"ansible_port={PORT}", "ansible_python_interpreter=/usr/bin/python3"]
    hosts = [f"h{index} ansible_host={address}" for index, address in enumerate(farm.addresses[:count])]
    inventory.write_text("\n".join([*hosts, "[all:vars]", *common]) + "\n")
    playbook = folder / "playbook.yaml"
    playbook.write_text(json.dumps(ansible_play(state), indent=1))
    control = folder / "ssh"
    control.mkdir(exist_ok=True)
    environment = {
        "HOME": str(folder),
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_FORKS": "50",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_PRIVATE_KEY_FILE": str(farm.key),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(control),
        "ANSIBLE_SSH_ARGS": f"-o ControlMaster=auto -o ControlPersist=60s -o UserKnownHostsFile={farm.known_hosts}",
        "LC_ALL": "C.UTF-8",
    }
    words = [str(bin_folder / "ansible-playbook"), "-i", str(inventory), str(playbook)]

    def accepts(code: int, output: str) -> bool:
        return code == 0 and output.count("changed=0") == count and output.count("failed=0") == count

    return Subject("ansible-core", words, environment, folder, accepts)


def ansible_play(state: State) -> list[dict[str, object]]:
    files = [
        {"copy": {"dest": path, "content": text, "mode": mode, "owner": "root", "group": "root"}}
        for path, (text, mode) in state.files.items()
    ]
    tasks: list[dict[str, object]] = [
        {"stat": {"path": str(state.binary), "checksum_algorithm": "sha256"}, "register": "binary"},
        {
            "assert": {
                "that": [f"binary.stat.checksum == '{state.sha256}'", "binary.stat.mode == '0755'"],
                "quiet": True,
            }
        },
        *files,
        {"shell": SERVICE_SCRIPT, "register": "service", "changed_when": False},
        {"assert": {"that": [f"service.stdout == '{state.service}'"], "quiet": True}},
        {
            "command": {"argv": ["sysctl", "-n", "{{ item.key }}"]},
            "register": "found",
            "changed_when": False,
            "failed_when": "found.stdout != item.value",
            "loop": [{"key": key, "value": value} for key, value in state.settings.items()],
        },
    ]
    return [{"hosts": "all", "gather_facts": False, "tasks": tasks}]


def pyinfra_noop(folder: Path, farm: Farm, state: State, count: int, bin_folder: Path) -> Subject:
    """Facts and operations as its documentation shows them."""
    settings = {
        "ssh_user": "root",
        "ssh_port": PORT,
        "ssh_key": str(farm.key),
        "ssh_known_hosts_file": str(farm.known_hosts),
        "ssh_strict_host_key_checking": "yes",
        "ssh_allow_agent": False,
        "ssh_look_for_keys": False,
    }
    inventory = folder / f"pyinfra_{count}.py"
    inventory.write_text(f"hosts = {[(address, settings) for address in farm.addresses[:count]]!r}\n")
    deploy = folder / "deploy.py"
    deploy.write_text(pyinfra_deploy(folder, state))
    words = [str(bin_folder / "pyinfra"), "-y", str(inventory), str(deploy)]
    environment = {"HOME": str(folder), "LC_ALL": "C.UTF-8"}
    unchanged = count * (1 + len(state.files) + len(state.settings))

    def accepts(code: int, output: str) -> bool:
        return code == 0 and output.count(" No changes\n") == unchanged

    return Subject("pyinfra", words, environment, folder, accepts)


def pyinfra_deploy(folder: Path, state: State) -> str:
    lines = [
        "from pyinfra import host",
        "from pyinfra.facts.files import Sha256File",
        "from pyinfra.facts.server import Command",
        "from pyinfra.operations import files, server",
        f"assert host.get_fact(Sha256File, path={str(state.binary)!r}) == {state.sha256!r}",
        f"assert host.get_fact(Command, command={SERVICE_SCRIPT!r}) == {state.service!r}",
        f"files.file(path={str(state.binary)!r}, mode='755', user='root', group='root')",
    ]
    for path, (text, mode) in state.files.items():
        source = folder / Path(path).name
        source.write_text(text)
        owner = f"mode={mode.lstrip('0')!r}, user='root', group='root'"
        lines.append(f"files.put(src={str(source)!r}, dest={path!r}, {owner})")
    lines += [f"server.sysctl(key={key!r}, value={value!r})" for key, value in state.settings.items()]
    return "\n".join(lines) + "\n"


def noop_subjects(
    folder: Path, farm: Farm, state: State, count: int, peers: Sequence[tuple[str, Path]]
) -> list[Subject]:
    makers = {"ansible-core": ansible_noop, "pyinfra": pyinfra_noop}
    ours = bootstrap_noop(folder, farm, state, count)
    return [ours, *(makers[name](folder, farm, state, count, bin_folder) for name, bin_folder in peers)]
