"""Writing one file on a host so that its name never shows half of it: the script, and what its failures mean. No I/O
but reading the source's size."""

import io
import os
from dataclasses import dataclass
from typing import BinaryIO

from bootstrap import shell
from bootstrap.errors import TransportError
from bootstrap.model import CommandResult

BASE_DEADLINE = 60.0  # seconds
SLOWEST = 200_000  # bytes per second: a Raspberry Pi at the far end of the wireless network

# The temporary file is made exclusively and gets owner and mode while it is empty. Its name holds the writer's
# process id and the writer keeps it open as 4: what nobody holds open was left by a killed run and is swept.
_SCRIPT = r"""
set -u
umask 077
temp=
fail() {
  [ -z "$temp" ] || rm -f -- "$temp"
  df -Pk . 2>/dev/null | tail -n 1
  printf 'failed %s\n' "$1"
  exit 9
}
cd -P -- "$folder" 2>/dev/null || { (umask 022; mkdir -p -- "$folder") && cd -P -- "$folder"; } || fail folder
for old in ".$name.bootstrap-"*; do
  writer=${old##*.bootstrap-}
  case "$(readlink "/proc/${writer%%-*}/fd/4" 2>/dev/null)" in *"/$old") ;; *) rm -f -- "$old" ;; esac
done
free=$(df -Pk . 2>/dev/null | tail -n 1 | { read -r _ _ _ free _; printf %s "$free"; })
case $free in '' | *[!0-9]*) ;; *) [ "$free" -gt "$((size / 1024))" ] || fail space ;; esac
temp=".$name.bootstrap-$$-$(date +%s)"
trap 'rm -f -- "$temp"' EXIT
trap 'exit 9' HUP INT TERM
(set -C; : >"$temp") || fail create
exec 4>>"$temp"
chown -- "$owner" "$temp" || fail owner
chmod -- "$mode" "$temp" || fail mode
cat >&4 || fail write
[ "$(wc -c <"$temp")" -eq "$size" ] || fail size
sum=$(sha256sum <"$temp")
[ "${sum%% *}" = "$sha256" ] || fail sha256
sync "$temp" 2>/dev/null || sync
mv -fT -- "$temp" "$name" || fail rename
sync . 2>/dev/null || :
"""

_REASONS = {
    "folder": "its folder can't be made",
    "create": "no file can be made beside it",
    "owner": "the owner {owner} can't be set",
    "mode": "the mode {mode} can't be set",
    "write": "its content can't be written",
    "size": "not all of its content arrived",
    "sha256": "what arrived does not have the sha256 {sha256}",
    "rename": "the finished file can't take its name",
    "space": "no space: {size} bytes needed, {free} bytes free on {mount}",
}


@dataclass(frozen=True)
class Upload:
    """One file to write; `size` in bytes, counted from where the source stands."""

    source: BinaryIO
    size: int
    path: str
    mode: str
    owner: str
    sha256: str

    @classmethod
    def of(cls, source: bytes | BinaryIO, path: str, mode: str, owner: str, sha256: str) -> "Upload":
        """Raises ValueError unless the path is absolute and names a file."""
        if not path.startswith("/") or path.endswith("/"):
            raise ValueError(f"{path} is not the absolute path of a file")
        stream = io.BytesIO(source) if isinstance(source, bytes) else source
        start = stream.tell()
        size = stream.seek(0, os.SEEK_END) - start
        stream.seek(start)
        return cls(stream, size, path, mode, owner, sha256)

    @property
    def deadline(self) -> float:
        return BASE_DEADLINE + self.size / SLOWEST

    def script(self) -> str:
        """POSIX sh that reads the content from standard input. Exit 9 and `failed REASON` when it did not work."""
        folder, _, name = self.path.rpartition("/")
        names = {"folder": folder or "/", "name": name, "owner": self.owner, "mode": self.mode}
        return shell.assign(names | {"size": str(self.size), "sha256": self.sha256}) + _SCRIPT

    def check(self, host: str, result: CommandResult) -> None:
        """Raises TransportError with the reason that the script gave."""
        if result.ok:
            return
        rows = result.stdout.splitlines()
        reason = rows[-1].removeprefix("failed ") if rows else ""
        if "No space left on device" in result.stderr or "Disk quota exceeded" in result.stderr:
            reason = "space"
        free, mount = _disk(rows[-2] if len(rows) > 1 else "")
        details = {"size": self.size, "free": free, "mount": mount, "owner": self.owner, "mode": self.mode}
        text = _REASONS.get(reason, f"the script ended with {result.exit_code}")
        why = f"{text.format(sha256=self.sha256, **details)}; the old file is untouched"
        said = " ".join(result.stderr.split())[-300:]
        raise TransportError(host, f"{self.path} was not written (file system {mount})", why=f"{why}. {said}".strip())


def _disk(row: str) -> tuple[int | str, str]:
    """Free bytes and mount point of a `df -Pk` line."""
    words = row.split(None, 5)
    return (int(words[3]) * 1024, words[5]) if len(words) == 6 and words[3].isdigit() else ("?", "unknown")
