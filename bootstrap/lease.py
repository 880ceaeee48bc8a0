"""One writer at a time: a lease on every host that is written to. Talks to hosts through a transport only."""

import json
import os
import platform
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bootstrap.errors import BootstrapError, LockedError, TransportError
from bootstrap.facts import LEASE_PATH, RUN_FOLDER
from bootstrap.operations import LOST_LEASE, fence, sweep_script
from bootstrap.shell import quote
from bootstrap.transport import Transport

REFRESH = 15.0  # seconds between refreshes
IS_HELD = 9  # exit code of take_script
STALE = 60.0  # seconds of the host's uptime without one: the holder is dead or cut off

FIELDS_SCRIPT = """\
uptime=$(cut -d' ' -f1 /proc/uptime)
boot=$(cat /proc/sys/kernel/random/boot_id)
new() { sed -e "s/@UPTIME@/$uptime/" -e "s/@BOOT@/$boot/"; }
"""


@dataclass(frozen=True)
class Holder:
    """Who writes: shown to a second operator, and proof that a holder on this very machine is dead."""

    run: str
    operation: str
    owner: str
    operator_boot: str
    process: int
    process_start: str

    def template(self) -> str:
        fields = {**self.__dict__, "uptime": "@UPTIME@", "boot_id": "@BOOT@"}
        return json.dumps(fields) + "\n"


def identify_holder(run: str, operation: str) -> Holder:
    """This process, as other operators shall see it."""
    owner = (
        f"{os.environ.get('SUDO_USER') or os.environ.get('USER') or 'root'}@{platform.node()} (process {os.getpid()})"
    )
    return Holder(run, operation, owner, _boot_id(), os.getpid(), _process_start(os.getpid()))


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _process_start(process: int) -> str:
    """Start time of a process in clock ticks since boot; empty when there is none (always empty without /proc)."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except (OSError, IndexError):
        return ""


def may_take_over(found: dict[str, object], uptime: float) -> bool:
    """Whether the holder is surely gone: silent for STALE seconds, or a process of this machine that ended."""
    try:
        age = uptime - float(str(found["uptime"]))
        process = int(str(found["process"]))
    except (KeyError, ValueError):
        return True
    here = _boot_id() != "" and found.get("operator_boot") == _boot_id()
    dead = here and _process_start(process) != found.get("process_start")
    return dead or age > STALE or age < 0


def take_script(replaced: str | None) -> str:
    """Create the lease, or put it in the place of one with the text `replaced` (which may be empty).

    Exit 9: somebody holds it; prints uptime and the lease. A link appears whole or not at all, and only where nothing is.
    What was moved away is looked at again: between look and move another run may have put its own lease there.
    """
    return f"""set -u
umask 077; mkdir -p {RUN_FOLDER} || exit 1
{FIELDS_SCRIPT}{"" if replaced is None else _move_away(replaced.rstrip())}
mine="{LEASE_PATH}.mine-$$"
new > "$mine" && grep -q '"run": ' "$mine" || {{ rm -f "$mine"; echo "the lease can't be written" >&2; exit 1; }}
if ln "$mine" {LEASE_PATH} 2>/dev/null; then rm -f "$mine"; exit 0; fi
rm -f "$mine"
echo "$uptime"; cat {LEASE_PATH}; exit {IS_HELD}
"""


def _move_away(text: str) -> str:
    taken = f"{LEASE_PATH}.taken-$$"
    return f"""
if [ -e {LEASE_PATH} ] && [ "$(cat {LEASE_PATH})" = {quote(text)} ] && mv {LEASE_PATH} "{taken}"; then
  [ "$(cat "{taken}")" = {quote(text)} ] || ln "{taken}" {LEASE_PATH} 2>/dev/null || true
  rm -f "{taken}"
fi
"""


def refresh_script(holder: Holder) -> str:
    return f"""set -u
{fence(holder.run)}umask 077
{FIELDS_SCRIPT}new > {LEASE_PATH}.new && grep -qF {quote(f'"run": "{holder.run}"')} {LEASE_PATH}.new && mv {LEASE_PATH}.new {LEASE_PATH}
"""


def release_script(holder: Holder) -> str:
    return f"""
grep -qsF {quote(f'"run": "{holder.run}"')} {LEASE_PATH} && rm -f {LEASE_PATH}
{sweep_script()}rm -rf {RUN_FOLDER}/kube-cache
rmdir {RUN_FOLDER} 2>/dev/null
true
"""


class Leases:
    """The leases of one run: taken in lexical order, refreshed in the background, released at the end."""

    def __init__(self, holder: Holder, connect: Callable[[str], Transport]) -> None:
        self._holder = holder
        self._connect = connect
        self._held: list[str] = []
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self, hosts: Sequence[str]) -> None:
        """Raises LockedError, having released what was taken, when another run holds one of the hosts."""
        try:
            for host in sorted(hosts):
                self._take_one(host)
        except BaseException:
            self.release()
            raise
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._thread.start()

    def _take_one(self, host: str) -> None:
        replaced: str | None = None
        for _ in range(3):
            script = take_script(replaced)
            result = self._connect(host).run(script, stdin=self._holder.template().encode(), deadline=20.0)
            if result.ok:
                self._held.append(host)
                return
            if result.exit_code != IS_HELD:
                raise BootstrapError("the lease can't be taken", where=host, why=result.stderr.strip())
            uptime, _, replaced = result.stdout.partition("\n")
            found = _load(replaced)
            if not may_take_over(found, float(uptime)):
                raise _locked(host, found, float(uptime))
        raise LockedError(
            "the lease changes hands faster than it can be taken", where=host, next_step="try again in a minute"
        )

    def _keep(self) -> None:
        while not self._ended.wait(REFRESH):
            with ThreadPoolExecutor(max_workers=8) as pool:
                list(pool.map(self._refresh_one, list(self._held)))

    def _refresh_one(self, host: str) -> None:
        try:
            result = self._connect(host).run(
                refresh_script(self._holder), stdin=self._holder.template().encode(), deadline=10.0
            )
        except TransportError:
            return  # the host may be rebooting; a lease that goes stale for good stops the next write by its fence
        if result.exit_code == LOST_LEASE and host in self._held:
            self._held.remove(host)

    def release(self) -> None:
        """Give all back; what can't be reached goes stale by itself."""
        self._ended.set()
        if self._thread:
            self._thread.join(timeout=10.0)  # a refresh on its way would put back what is released here
        with ThreadPoolExecutor(max_workers=16) as pool:
            list(pool.map(self._release_one, self._held))
        self._held = []

    def _release_one(self, host: str) -> None:
        try:
            self._connect(host).run(release_script(self._holder), deadline=10.0)
        except TransportError:
            return


def _load(text: str) -> dict[str, object]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _locked(host: str, found: dict[str, object], uptime: float) -> LockedError:
    age = uptime - float(str(found.get("uptime", 0)))
    return LockedError(
        f"another run holds the lease: {found.get('owner')}, {found.get('operation')}, run {found.get('run')}",
        where=host,
        why=f"it was refreshed {age:.0f} s ago; one writer at a time",
        next_step=f"wait until it ends; a dead run's lease frees itself after {STALE:.0f} s",
    )
