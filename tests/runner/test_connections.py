"""One connection per host and run: shared, made anew when it broke, and never two at once for one host."""

import threading
from dataclasses import dataclass, field

import pytest

from bootstrap.connections import Connections
from bootstrap.errors import AuthenticationError, ConnectionLostError, DeadlineError, UnreachableError
from bootstrap.model import CommandResult, digest
from tests.fakes import OK, RuleTransport


@dataclass
class Opener:
    """Opens hosts, and counts."""

    answers: list[CommandResult | Exception] = field(default_factory=lambda: [OK])
    opened: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)

    def __call__(self, name: str) -> RuleTransport:
        self.opened.append(name)
        transport = RuleTransport(name, [("", self.answers[min(len(self.opened), len(self.answers)) - 1])])
        transport.close = lambda: self.closed.append(name)  # type: ignore[method-assign]
        return transport


def test_a_host_is_opened_once() -> None:
    opener = Opener()
    pool = Connections(opener)
    for _ in range(3):
        pool.get("a").run("true")
    assert opener.opened == ["a"]
    assert pool.get("a").host == "a"


def test_threads_that_ask_at_once_share_one() -> None:
    opener = Opener()
    pool = Connections(opener)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(pool.get("a"))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opener.opened == ["a"]
    assert len({id(each) for each in found}) == 1


def test_a_slow_host_holds_up_no_other() -> None:
    reached = threading.Event()

    def open_one(name: str) -> RuleTransport:
        if name == "slow":
            assert reached.wait(10)
        return RuleTransport(name, [("", OK)])

    pool = Connections(open_one)
    thread = threading.Thread(target=lambda: pool.get("slow"))
    thread.start()
    assert pool.get("quick").run("true") == OK
    reached.set()
    thread.join()


@pytest.mark.parametrize(
    "error", [ConnectionLostError("a", "broke"), UnreachableError("a", "broke"), DeadlineError("a", "silent")]
)
def test_a_broken_one_is_made_anew(error: Exception) -> None:
    opener = Opener([error, OK])
    pool = Connections(opener)
    with pytest.raises(type(error)):
        pool.get("a").run("true")
    assert pool.get("a").run("true") == OK
    assert opener.opened == ["a", "a"]


def test_one_that_breaks_while_a_file_is_put_is_made_anew() -> None:
    opener = Opener()
    pool = Connections(opener)
    pool.get("a")
    broken = pool._open["a"]._inner  # type: ignore[attr-defined]

    def put(*words: object, **options: object) -> None:
        raise ConnectionLostError("a", "broke")

    broken.put = put
    with pytest.raises(ConnectionLostError):
        pool.get("a").put(b"x", "/x", sha256=digest(b"x"))
    pool.get("a").put(b"x", "/x", sha256=digest(b"x"))
    assert opener.opened == ["a", "a"]


def test_a_late_report_of_an_old_break_leaves_the_new_one_alone() -> None:
    opener = Opener([ConnectionLostError("a", "broke"), OK])
    pool = Connections(opener)
    old = pool.get("a")
    for _ in range(2):
        with pytest.raises(ConnectionLostError):
            old.run("true")
    new = pool.get("a")
    with pytest.raises(ConnectionLostError):
        old.run("true")
    assert pool.get("a") is new


def test_a_refusal_is_tried_again_at_the_next_call() -> None:
    answers = iter([AuthenticationError("a", "it refuses our keys"), RuleTransport("a", [("", OK)])])

    def open_one(name: str) -> RuleTransport:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    pool = Connections(open_one)
    with pytest.raises(AuthenticationError):
        pool.get("a")
    assert pool.get("a").run("true") == OK


def test_all_are_closed_at_the_end() -> None:
    opener = Opener()
    pool = Connections(opener)
    pool.get("a")
    pool.get("b")
    pool.close()
    assert sorted(opener.closed) == ["a", "b"]
    pool.get("a")
    assert opener.opened == ["a", "b", "a"]
