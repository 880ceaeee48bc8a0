"""Speed, as ratios in one run: start-up of the program, and a no-op on N hosts beside other tools. Needs root.

Everything is measured as a whole process, in turns, in a network and process namespace of its own: nothing is reached
but loopback, and nothing is left running.
"""

import argparse
import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from farm import start_farm
from measure import Series, interleave, load
from peers import PEERS, install_peer, version_of
from report import describe_noop, describe_start_up, to_json
from state import State, make_state
from subjects import noop_subjects, start_up_subjects


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="runs of each subject after one that warms up (default 5)")
    parser.add_argument("--hosts", default="1,10,100", help="numbers of hosts (default 1,10,100)")
    parser.add_argument("--peers", default=",".join(PEERS), help="tools to compare with; empty for none")
    parser.add_argument("--peer-hosts", type=int, default=10, help="most hosts for peers: they take minutes for 100")
    parser.add_argument("--peer-runs", type=int, default=3, help="most runs of each peer (default 3)")
    parser.add_argument("--json", type=Path, help="write every sample to this file")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    arguments = read_arguments()
    if os.geteuid() != 0:
        sys.exit("benchmarks start sshd on loopback in a network namespace: run them as root")
    if not arguments.inside:
        find_peers(arguments)  # while there still is a network
        own = ["unshare", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"]
        os.execvp(own[0], [*own, sys.executable, *sys.argv, "--inside"])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory(prefix="bootstrap-benchmark-") as folder:
        measure_all(arguments, Path(folder))


def find_peers(arguments: argparse.Namespace) -> list[tuple[str, Path]]:
    found = []
    for name in filter(None, arguments.peers.split(",")):
        try:
            found.append((name, install_peer(name)))
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"without {name}, which can't be installed: {error}", file=sys.stderr)
    return found


def measure_all(arguments: argparse.Namespace, folder: Path) -> None:
    peers = find_peers(arguments)
    about = {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_before": load(),
        "versions": {name: version_of(name, bin_folder) for name, bin_folder in peers},
    }
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    print(f"{about['cores']} cores, load {load():.1f}, Python {about['python']}{', ' + versions if versions else ''}\n")
    start_up = interleave([(subject, arguments.runs) for subject in start_up_subjects(folder)], folder / "log")
    print("\n".join(describe_start_up(start_up)), flush=True)
    counts = sorted({int(count) for count in arguments.hosts.split(",")})
    state = make_state(folder / "host")
    noops = {count: measure_noop(arguments, folder, state, count, peers) for count in counts}
    print("\n" + "\n".join(describe_noop(noops)))
    about["load_after"] = load()
    print(
        f"\nload at the end {load():.1f}, the servers' own included: on a busy machine believe the CPU and the ratios"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(to_json(start_up, noops, about), indent=1) + "\n")


def measure_noop(
    arguments: argparse.Namespace, folder: Path, state: State, count: int, peers: list[tuple[str, Path]]
) -> dict[str, Series]:
    taking_part = peers if count <= arguments.peer_hosts else []
    place = folder / f"noop-{count}"
    place.mkdir()
    with start_farm(place / "farm", count) as farm:
        subjects = noop_subjects(place, farm, state, count, taking_part)
        turns = [
            (s, arguments.runs if s.name == "bootstrap" else min(arguments.runs, arguments.peer_runs)) for s in subjects
        ]
        return interleave(turns, place / "log", lambda: end_kept_connections(place))


def end_kept_connections(place: Path) -> None:
    """Each run starts cold: ssh processes that wait for a next command are ended. Only this namespace's are seen."""
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if f"{place}/ssh/".encode() in process.read_bytes():
                os.kill(int(process.parent.name), signal.SIGTERM)


if __name__ == "__main__":
    main()
