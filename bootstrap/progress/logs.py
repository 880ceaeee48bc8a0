"""A log file for each host of a run: all that was said, masked."""

import os
import threading
from datetime import UTC, datetime
from pathlib import Path

from bootstrap.redact import Redactor


def log_folder(cluster: str, run: str) -> Path:
    """Where a run's logs go: below the person's state folder (XDG_STATE_HOME)."""
    from platformdirs import user_state_path

    return user_state_path("bootstrap") / "logs" / cluster / run


class HostLogs:
    """Appends to `<host>.log` in `folder`; files 0600, folders that it makes 0700. Safe between threads.

    A log that can't be written never stops a run: `trouble` says why it is missing.
    """

    def __init__(self, folder: Path, redactor: Redactor) -> None:
        self.folder, self._redactor = folder, redactor
        self.trouble = ""
        self._lock = threading.Lock()
        self._rests: dict[str, str] = {}  # text after the last newline: a secret may go on in the next piece

    def write(self, host: str, text: str) -> None:
        """Adds text; a line is written once it is whole."""
        with self._lock:
            *lines, rest = (self._rests.get(host, "") + text).split("\n")
            self._rests[host] = rest
            self._append(host, lines)

    def close(self) -> None:
        """Writes what has no newline yet."""
        with self._lock:
            for host, rest in self._rests.items():
                self._append(host, [rest] if rest else [])
            self._rests.clear()

    def _append(self, host: str, lines: list[str]) -> None:
        if not lines or self.trouble:
            return
        now = datetime.now(UTC).strftime("%H:%M:%S.%f")[:-3]
        masked = self._redactor.mask("\n".join(lines)).split("\n")
        try:
            self._write_file(host, "".join(f"{now} {line}\n" for line in masked))
        except OSError as error:
            self.trouble = f"no more logs: {error}"

    def _write_file(self, host: str, text: str) -> None:
        if not host or host != Path(host).name:
            raise ValueError(f"{host!r} can't name a log file")
        _make_private(self.folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        with os.fdopen(
            os.open(self.folder / f"{host}.log", flags, 0o600), "a", encoding="utf-8", errors="replace"
        ) as file:
            file.write(text)


def _make_private(folder: Path) -> None:
    """Makes the folder and its missing parents, for the person's eyes only."""
    missing = [folder, *folder.parents]
    for path in reversed([path for path in missing if not path.exists()]):
        path.mkdir(mode=0o700, exist_ok=True)
