"""Becomes root on one host: finds the way once, remembers it, answers sudo's one question."""

import secrets
import threading
from typing import TYPE_CHECKING, BinaryIO

from bootstrap.errors import EscalationError, TransportError
from bootstrap.model import Escalation
from bootstrap.transport.escalation import TOOLS, Refusal, Way, asking, becoming, choosing, next_way, rule
from bootstrap.transport.framing import Answer, Job, frame
from bootstrap.transport.settings import SudoPassword

if TYPE_CHECKING:
    from bootstrap.transport.exchange import Exchange

PATIENCE = 30.0  # seconds for sudo: on a host without a name server it thinks for 20


class RootAccess:
    """What is known about becoming root on one host; shared by all threads that use the connection."""

    def __init__(self, host: str, user: str, escalation: Escalation, password: SudoPassword) -> None:
        self._host = host
        self._user = user
        self._escalation = escalation
        self._password = password
        self._way: Way | None = None if TOOLS[escalation] else Way()
        self._refused: EscalationError | None = None
        self._asking = threading.Lock()

    @property
    def way(self) -> Way | None:
        """The way to take; None: not known yet, the host chooses. Raises EscalationError when all were refused."""
        if self._refused:
            raise self._refused
        return self._way

    def begin(self, exchange: "Exchange", way: Way | None, job: Job, source: BinaryIO, size: int) -> None:
        """Send the job and its input behind whatever makes us root. Raises EscalationError, NoAnswerError."""
        terminal = way is not None and way.terminal
        is_root = way == Way()
        exchange.allow(job.limit if is_root else job.limit + PATIENCE)
        exchange.start(terminal=terminal)
        frames = job.frames_on_terminal(size) if terminal else job.frames()
        if way is not None and way.asks:
            self._answer_question(exchange)
        else:
            stage = becoming(way) if way and not terminal else choosing(self._escalation, job.mark)
            frames = frames if is_root else frame(stage) + frames
        exchange.send_all(frames, source, size)

    def _answer_question(self, exchange: "Exchange") -> None:
        """The password, once, to a prompt that only our sudo can know; nothing else before sudo let us in."""
        password = self._password.get()
        if not password:
            raise self._refuse(
                "sudo wants a password and none can be asked",
                next_step=f"run it on a terminal to be asked, or {rule(self._user)}",
            )
        prompt, reached = secrets.token_hex(12), secrets.token_hex(12)
        with self._asking:
            if self._refused:  # by another thread, while this one waited
                raise self._refused
            exchange.send(frame(asking(prompt, reached)))
            exchange.read_until(lambda answer: answer.shows(reached) or answer.asks(prompt))
            if exchange.answer.asks(prompt):
                exchange.send(password.encode() + b"\n")
                exchange.read_until(lambda answer: answer.shows(reached) or answer.asks(prompt, times=2))
            if not exchange.answer.shows(reached):
                exchange.finish()  # the end of input is no second attempt
                raise self._refuse_password(exchange.answer, prompt)

    def _refuse_password(self, answer: Answer, prompt: str) -> EscalationError:
        why = " ".join(answer.noise.replace(prompt, " ").split())
        if "not in the sudoers" in why or "not allowed" in why or "may not" in why:
            return self._refuse(f"{self._user} may not use sudo", why=why, next_step=rule(self._user))
        what = "sudo did not take the password; it was tried once"
        return self._refuse(what, why=why, next_step=f"run again with the right one, or {rule(self._user)}")

    def learn(self, way: Way | None, answer: Answer) -> None:
        """From an answer that started, or from refusals. Raises EscalationError when no way is left."""
        if answer.started:
            self._way = way or Way(_tool(answer))
            return
        refused = answer.said("refused")
        if not refused and not (way and way.tool):
            raise TransportError(self._host, "its login shell did not run ours", why=answer.noise)
        refusal = Refusal(tuple(refused) or (answer.noise,))
        found = next_way(refusal, way or Way())
        if found is None:
            raise self._refuse("no way to become root", why=str(refusal), next_step=rule(self._user))
        self._way = found

    def _refuse(self, what: str, *, why: str = "", next_step: str = "") -> EscalationError:
        self._refused = EscalationError(self._host, what, why=why, next_step=next_step)
        return self._refused


def _tool(answer: Answer) -> str:
    chosen = answer.said("way")
    return "" if not chosen or chosen[0] == "root" else chosen[0]
