"""Every kind of user on real hosts: root, sudo with and without a password, doas, and login shells with manners of
their own."""

import hashlib
import secrets
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from private_sshd import attempt

from bootstrap.errors import EscalationError, TransportError
from bootstrap.model import Connection, Escalation
from bootstrap.transport.ssh import SshTransport, connect, load_settings

pytestmark = pytest.mark.sandbox

PASSWORD = "sandbox-password"
EVERY_BYTE = bytes(range(256)) * 200
HOST = "h1"

Open = Callable[..., SshTransport]


@pytest.fixture
def root(sandbox_hosts: Any) -> Iterator[SshTransport]:
    transport = open_as(sandbox_hosts, "root")
    yield transport
    transport.close()


def open_as(hosts: Any, user: str, password: str | None = None, way: Escalation = Escalation.AUTO) -> SshTransport:
    settings = load_settings(hosts.known_hosts_path, ask=(lambda question: password) if password else None, agent=False)
    connection = Connection(hosts.address(HOST), user=user, identity_files=(str(hosts.key_path),), escalation=way)
    return connect(HOST, connection, settings)


@pytest.fixture
def open_user(sandbox_hosts: Any) -> Iterator[Open]:
    opened: list[SshTransport] = []

    def make(user: str, password: str | None = None, way: Escalation = Escalation.AUTO) -> SshTransport:
        opened.append(open_as(sandbox_hosts, user, password, way))
        return opened[-1]

    yield make
    for transport in opened:
        transport.close()


class Journal:
    """What the host's journal says since now."""

    def __init__(self, root: SshTransport) -> None:
        self._root = root
        self._cursor = self._read("--lines=1", "--show-cursor").rpartition("-- cursor: ")[2].strip()

    def _read(self, *words: str) -> str:
        self._root.run("journalctl --sync")
        return self._root.run(f"journalctl -q --no-pager {' '.join(words)}").stdout

    def count(self, text: str) -> int:
        return self._read(f"--after-cursor='{self._cursor}'").count(text)


@pytest.fixture
def journal(root: SshTransport) -> Journal:
    return Journal(root)


@pytest.fixture
def requiretty(root: SshTransport) -> Iterator[None]:
    root.run(
        "umask 077; echo 'Defaults:ops,sudoer requiretty' >/etc/sudoers.d/zz-test; chmod 0440 /etc/sudoers.d/zz-test"
    )
    yield
    root.run("rm /etc/sudoers.d/zz-test")


USERS = [("root", None), ("ops", None), ("doer", None), ("fishy", None), ("tcshy", None), ("sudoer", PASSWORD)]


@pytest.mark.parametrize(("user", "password"), USERS, ids=[user for user, _ in USERS])
def test_each_user_becomes_root_and_nothing_is_lost_or_added(open_user: Open, user: str, password: str | None) -> None:
    transport = open_user(user, password)
    for _ in range(2):
        result = transport.run("id -u; echo err >&2; od -An -v -tx1 | tr -d ' \\n'; exit 5", stdin=EVERY_BYTE)
        assert result.stdout == "0\n" + EVERY_BYTE.hex()
        assert result.stderr == "err\n"
        assert result.exit_code == 5


@pytest.mark.parametrize(("user", "password"), USERS, ids=[user for user, _ in USERS])
def test_each_user_puts_the_same_file(open_user: Open, user: str, password: str | None) -> None:
    transport = open_user(user, password)
    content = EVERY_BYTE * 40
    path = f"/etc/test/{user}"
    transport.put(content, path, mode="0640", owner="daemon:root", sha256=hashlib.sha256(content).hexdigest())
    seen = transport.run(f"stat -c '%a %U:%G %s' {path}; sha256sum <{path}").stdout.split()
    assert seen[:3] == ["640", "daemon:root", str(len(content))]
    assert seen[3] == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("user", ["root", "ops", "doer", "fishy", "tcshy"])
def test_finding_the_way_to_root_costs_no_channel_of_its_own(open_user: Open, user: str) -> None:
    transport = open_user(user)
    transport.run("true")
    transport.run("true")
    assert transport.executions == 2


def test_the_password_is_asked_once_for_all_commands_and_hosts(sandbox_hosts: Any) -> None:
    questions: list[str] = []

    def ask(question: str) -> str:
        questions.append(question)
        return PASSWORD

    settings = load_settings(sandbox_hosts.known_hosts_path, ask=ask, agent=False)
    key = (str(sandbox_hosts.key_path),)
    failures: list[BaseException] = []

    def use() -> None:
        transport = connect(HOST, Connection(sandbox_hosts.address(HOST), user="sudoer", identity_files=key), settings)
        for _ in range(2):
            assert transport.run("id -u").stdout == "0\n"
        transport.close()

    work = [threading.Thread(target=attempt, args=(use, failures)) for _ in range(3)]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert failures == []
    assert len(questions) == 1
    assert "sudo" in questions[0]


def test_a_password_that_nobody_can_be_asked_for_names_both_cures(open_user: Open, journal: Journal) -> None:
    with pytest.raises(EscalationError) as caught:
        open_user("sudoer").run("true")
    assert "sudo wants a password and none can be asked" in str(caught.value)
    assert "terminal" in str(caught.value)
    assert "NOPASSWD" in str(caught.value)
    assert journal.count("authentication failure") == 0


def test_a_wrong_password_is_tried_exactly_once(open_user: Open, journal: Journal) -> None:
    transport = open_user("sudoer", "wrong")
    failures: list[BaseException] = []
    work = [threading.Thread(target=attempt, args=(lambda: transport.run("true"), failures)) for _ in range(4)]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert [type(failure) for failure in failures] == [EscalationError] * 4
    with pytest.raises(EscalationError, match="did not take the password"):
        transport.run("true")
    assert journal.count("authentication failure") == 1
    assert journal.count("incorrect password attempt") == 1


def test_a_user_without_any_right_is_told_so(open_user: Open, journal: Journal) -> None:
    with pytest.raises(EscalationError):
        open_user("plain").run("true")
    assert journal.count("authentication failure") == 0
    with pytest.raises(EscalationError):
        open_user("plain", way=Escalation.DOAS).run("true")


def test_without_escalation_the_user_stays_who_he_is(open_user: Open) -> None:
    transport = open_user("plain", way=Escalation.NONE)
    assert transport.run("id -un").stdout == "plain\n"
    assert transport.executions == 1


def test_a_tool_that_is_asked_for_by_name_is_the_only_one(open_user: Open) -> None:
    assert open_user("doer", way=Escalation.DOAS).run("id -u").stdout == "0\n"
    with pytest.raises(EscalationError) as caught:
        open_user("doer", way=Escalation.SUDO).run("true")
    assert "sudo" in str(caught.value)
    assert open_user("root", way=Escalation.SUDO).run("id -u").stdout == "0\n"


def test_a_program_that_prints_the_prompt_gets_nothing(open_user: Open) -> None:
    """It prints every word of sudo's command line, the prompt among them, and reads what it is given."""
    transport = open_user("sudoer", PASSWORD)
    script = (
        "for pid in /proc/[0-9]*; do tr '\\0' '\\n' <$pid/cmdline 2>/dev/null; done | tee /dev/stderr;"
        "printf '[sudo] password for sudoer: ' >&2; cat"
    )
    result = transport.run(script, stdin=b"only this\n")
    assert "-S" in result.stderr, "sudo's own command line was there to be copied"
    assert result.stdout.endswith("only this\n")
    assert PASSWORD not in result.stdout + result.stderr


def test_the_password_is_in_no_command_line_environment_or_journal(open_user: Open, journal: Journal) -> None:
    transport = open_user("sudoer", PASSWORD)
    seen = transport.run("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' ' '").stdout
    assert "read -r n" in seen
    assert PASSWORD not in seen
    assert journal.count(PASSWORD) == 0


@pytest.mark.parametrize(("user", "password"), [("ops", None), ("sudoer", PASSWORD)])
def test_where_sudo_wants_a_terminal_it_gets_one_and_the_streams_stay_apart(
    open_user: Open, requiretty: None, user: str, password: str | None
) -> None:
    transport = open_user(user, password)
    for _ in range(2):
        result = transport.run("id -u; echo err >&2; od -An -v -tx1 | tr -d ' \\n'; printf '\\r\\n'", stdin=EVERY_BYTE)
        assert result.stdout == "0\n" + EVERY_BYTE.hex() + "\r\n"
        assert result.stderr == "err\n"
    content = secrets.token_bytes(2_000_000)
    transport.put(content, "/etc/test/terminal", sha256=hashlib.sha256(content).hexdigest())
    assert transport.run("sha256sum </etc/test/terminal").stdout.split()[0] == hashlib.sha256(content).hexdigest()


def test_no_terminal_is_asked_for_where_none_is_needed(open_user: Open) -> None:
    for user, password in USERS:
        result = open_user(user, password).run("cat /proc/self/stat | cut -d' ' -f7; tty <&2; ps -o tty= -C sudo")
        assert result.stdout.split()[0] == "0"


def test_a_host_reboot_is_a_lost_connection(sandbox_hosts: Any, root: SshTransport) -> None:
    from bootstrap.errors import ConnectionLostError

    if "h2" not in sandbox_hosts.names:
        pytest.skip("needs a second host to reboot")
    settings = load_settings(sandbox_hosts.known_hosts_path, agent=False)
    connection = Connection(sandbox_hosts.address("h2"), user="ops", identity_files=(str(sandbox_hosts.key_path),))
    transport = connect("h2", connection, settings)
    with pytest.raises(ConnectionLostError):
        transport.run("systemctl reboot; sleep 60")
    with pytest.raises(TransportError):
        transport.run("true")
    transport.close()
