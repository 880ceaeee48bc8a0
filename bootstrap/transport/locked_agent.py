"""An ssh agent that several threads may ask. Importing this imports paramiko."""

import threading
from typing import Any

import paramiko


class LockedAgent(paramiko.Agent):
    """Paramiko's agent with one question at a time: else the answers of two threads get mixed up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        super().__init__()

    def _send_message(self, msg: Any) -> Any:  # noqa: ANN401
        with self._lock:
            return super()._send_message(msg)  # type: ignore[misc]
