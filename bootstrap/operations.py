"""Scripts for one host that run exactly once per boot, whatever happens to the connection. Pure text and its reading.

An operation is a folder below /run (a reboot empties it, as a reboot ends what ran): its script, its standard
input, its exit code. The folder appears whole by rename, which only the first of two starters succeeds with; `mkdir
started` is the gate that lets one runner through, so asking twice attaches instead of running twice. The remote
command outlives its connection anyway.
"""

from dataclasses import dataclass
from typing import Final

from bootstrap.facts import LEASE_PATH, RUN_FOLDER
from bootstrap.shell import quote

LOST_LEASE: Final = 75
TIME_IS_UP: Final = 124  # as coreutils' timeout says it; busybox' ends with the signal's number
SLICE: Final = 15.0  # seconds that one exec waits before it reports "still running"
MOST_OUTPUT: Final = 1 << 20  # bytes of each stream that come back


@dataclass(frozen=True)
class OperationState:
    """`exit_code` is None while it runs; `gone` when the host has forgotten it, which only a reboot does."""

    exit_code: int | None
    stdout: str = ""
    stderr: str = ""
    gone: bool = False


def fence(run: str) -> str:
    """Stops a write script whose run no longer holds the lease of the host."""
    return f"grep -qsF {quote(_run_field(run))} {LEASE_PATH} || {{ echo 'the lease of this host is lost' >&2; exit {LOST_LEASE}; }}\n"


def _run_field(run: str) -> str:
    return f'"run": "{run}"'


def start_script(
    run: str, identity: str, title: str, script: str, deadline: float, mark: str, *, input_size: int = 0
) -> str:
    """Start the operation unless it is there, then wait a slice for its end.

    Standard input is the operation's; `input_size` tells its bytes, so that one cut short by a lost connection starts nothing.
    """
    folder = _folder(identity)
    return f"""set -u
{fence(run)}umask 077
dir={folder}
if [ ! -d "$dir" ]; then
  new="$dir.new-$$"; rm -rf "$new"
  mkdir -p "$new" && cat > "$new/stdin" && [ "$(wc -c < "$new/stdin")" -eq {input_size} ] &&
  printf '%s\\n' {quote(title)} > "$new/title" &&
  cat > "$new/script" <<'{mark}' &&
{script}
{mark}
  cat > "$new/run" <<'{mark}' &&
mkdir "$1/started" 2>/dev/null || exit 0
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C
umask 022; cd /
uptime() {{ cut -d. -f1 /proc/uptime; }}
end=$(( $(uptime) + {deadline:.0f} ))
timeout -k 10 {deadline:.0f} sh "$1/script" < "$1/stdin" > "$1/stdout" 2> "$1/stderr"
code=$?
case $code in 137|143) [ "$(uptime)" -lt "$end" ] || code={TIME_IS_UP};; esac
echo "$code" > "$1/exit-code.new"; rm -f "$1/stdin"; mv "$1/exit-code.new" "$1/exit-code"
{mark}
  mv -T "$new" "$dir" 2>/dev/null || rm -rf "$new"
fi
[ -e "$dir/run" ] || {{ echo "the script did not arrive whole below {RUN_FOLDER}" >&2; exit 1; }}
{_launch(identity)}{_await()}"""


def attach_script(identity: str) -> str:
    """Wait another slice for an operation that was started, perhaps by an earlier connection."""
    return f"""set -u
dir={_folder(identity)}
[ -d "$dir" ] || {{ echo gone; exit 0; }}
{_launch(identity)}{_await()}"""


def _folder(identity: str) -> str:
    return f"{RUN_FOLDER}/operations/{quote(identity)}"


def _launch(identity: str) -> str:
    return f"""if [ ! -d "$dir/started" ]; then
  if [ -d /run/systemd/system ] && command -v systemd-run >/dev/null; then
    systemd-run --quiet --collect --unit=bootstrap-{quote(identity)} sh "$dir/run" "$dir" </dev/null >/dev/null 2>&1
  else setsid sh "$dir/run" "$dir" </dev/null >/dev/null 2>&1 &
  fi
fi
"""


def _await() -> str:
    return f"""tries=0
while [ ! -e "$dir/exit-code" ] && [ "$tries" -lt {int(SLICE / 0.05)} ]; do sleep 0.05; tries=$((tries + 1)); done
[ -e "$dir/exit-code" ] || {{ echo running; exit 0; }}
echo "ended $(cat "$dir/exit-code")"
head -c {MOST_OUTPUT} "$dir/stdout"
head -c {MOST_OUTPUT} "$dir/stderr" >&2
"""


def read_state(stdout: str, stderr: str) -> OperationState:
    """What start_script or attach_script reported. Raises ValueError for anything else."""
    head, _, body = stdout.partition("\n")
    if head == "running":
        return OperationState(None)
    if head == "gone":
        return OperationState(None, gone=True)
    return OperationState(int(head.removeprefix("ended ")), body, stderr)


def sweep_script() -> str:
    """Forget operations that have ended; a running one is left alone."""
    return f"""
for dir in {RUN_FOLDER}/operations/*/; do [ ! -e "$dir/exit-code" ] || rm -rf "$dir"; done
rmdir {RUN_FOLDER}/operations 2>/dev/null || true
"""


def wait_script(script: str, seconds: float) -> str:
    """Look again and again for some seconds. Exit 0: reached, 1: not yet, 2: can't be reached; prints what was seen last."""
    return f"""
look() (
{script}
)
end=$(( $(cut -d. -f1 /proc/uptime) + {max(1, round(seconds))} ))
mkdir -p {RUN_FOLDER}
while :; do
  seen=$(look 2>&1); code=$?
  case $code in
    0) printf '%s\\n' "$seen"; exit 0;;
    2) printf '%s\\n' "$seen"; exit 2;;
  esac
  if [ "$(cut -d. -f1 /proc/uptime)" -ge "$end" ]; then printf '%s\\n' "$seen"; exit 1; fi
  sleep 0.5
done
"""


def download_script(url: str, path: str, mode: str, sha256: str, size: int) -> str:
    """Download on the host itself: temporary beside the target, hash, mode, rename. Exit 3: can't be downloaded here."""
    return f"""set -u
umask 077
target={quote(path)}; new="$target.bootstrap-new"
( umask 022; mkdir -p "$(dirname "$target")" ) || exit 1
trap 'rm -f "$new"' EXIT
if command -v curl >/dev/null; then curl -fsSL --proto '=https' --connect-timeout 10 --max-filesize {size} -o "$new" {quote(url)} || exit 3
elif command -v wget >/dev/null; then wget -q -T 10 -O "$new" {quote(url)} || exit 3
else exit 3
fi
sum=$(sha256sum < "$new" | cut -d' ' -f1)
[ "$sum" = {sha256} ] || {{ echo "the download has sha256 $sum, the lock says {sha256}" >&2; exit 4; }}
chmod {mode} "$new" && sync "$new" && mv -T "$new" "$target"
"""
