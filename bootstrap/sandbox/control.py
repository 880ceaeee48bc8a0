"""How commands reach a running sandbox: one JSON line each way over a Unix socket in its run folder.

The socket works from outside and from inside alike, and who listens on it is the kernel's word, not a pid file's.
"""

import contextlib
import json
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from threading import Thread

from bootstrap.errors import SandboxError

Answer = Callable[[str, list[str]], object]


def connect(path: Path) -> socket.socket | None:
    """A connection to whoever listens on `path`, or None when nobody does."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    return connection


def listener_pid(path: Path) -> int | None:
    """Process that listens on `path`, numbered as the caller's namespace sees it; None when nobody listens."""
    connection = connect(path)
    if connection is None:
        return None
    with connection:
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", credentials)[0])


def ask(path: Path, verb: str, words: list[str]) -> object:
    """Send one request and wait for its answer. SandboxError when nobody listens, and when the answer is an error."""
    connection = connect(path)
    if connection is None:
        raise SandboxError("the sandbox is not up", why=f"nothing listens on {path}", next_step="bootstrap sandbox up")
    answer = _exchange(connection, json.dumps([verb, words]))
    if not answer:
        raise SandboxError("the sandbox ended while it was asked for something")
    read: dict[str, object] = json.loads(answer)
    if "error" in read:
        raise SandboxError(**json.loads(answer)["error"])
    return read["answer"]


def _exchange(connection: socket.socket, line: str) -> str:
    """Send a line, receive one; empty when the other side ends before it answers."""
    with contextlib.suppress(ConnectionError), connection, connection.makefile("rw") as stream:
        stream.write(f"{line}\n")
        stream.flush()
        return stream.readline()
    return ""


def serve(path: Path, answer: Answer, listening: Callable[[], None]) -> None:
    """Answer requests for ever, each in a thread of its own; calls `listening` once the first can come."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(64)
        listening()
        while True:
            connection, _ = server.accept()
            Thread(target=_answer_one, args=(connection, answer), daemon=True).start()


def _answer_one(connection: socket.socket, answer: Answer) -> None:
    with contextlib.suppress(OSError), connection, connection.makefile("rw") as stream:
        request = stream.readline()
        if request:
            stream.write(json.dumps(_reply(request, answer)) + "\n")


def _reply(request: str, answer: Answer) -> dict[str, object]:
    try:
        return {"answer": answer(*json.loads(request))}
    except SandboxError as error:
        return {"error": {"what": error.what, "why": error.why, "next_step": error.next_step}}
    except Exception as error:  # noqa: BLE001 - the asker must hear of it; the other hosts must live on
        return {"error": {"what": f"The sandbox failed: {type(error).__name__}", "why": str(error)}}
