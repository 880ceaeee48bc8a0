"""Private keys against a real sshd: from files, from the agent, encrypted; and what is said when none is taken."""

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from private_sshd import Sshd, make_key

from bootstrap.errors import AuthenticationError
from bootstrap.transport.ssh import connect


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """A private ssh-agent; call it with a key to add."""
    address = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", address], stdout=subprocess.DEVNULL)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(address))
    while not address.exists():
        pass
    yield lambda key: subprocess.run(["ssh-add", "-q", key], check=True, stdin=subprocess.DEVNULL)
    process.kill()
    process.wait()


@pytest.fixture
def encrypted(sshd: Sshd, tmp_path: Path) -> Path:
    """The user's own key under a passphrase."""
    path = tmp_path / "encrypted"
    shutil.copy(sshd.user_key, path)
    shutil.copy(f"{sshd.user_key}.pub", f"{path}.pub")
    subprocess.run(
        ["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", path], check=True, capture_output=True
    )
    return path


def refusal(sshd: Sshd, settings: object, **more: object) -> str:
    with pytest.raises(AuthenticationError) as caught:
        connect("box", sshd.connection(**more), settings)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
def test_each_kind_of_key_file_logs_in(sshd: Sshd, tmp_path: Path, kind: str) -> None:
    path = make_key(tmp_path / "key", kind)
    with (sshd.folder / "authorized_keys").open("a") as file:
        file.write(Path(f"{path}.pub").read_text())
    connect("box", sshd.connection(identity_files=(str(path),)), sshd.settings()).close()


def test_a_key_that_the_host_does_not_know_is_named(sshd: Sshd, tmp_path: Path) -> None:
    stranger = str(make_key(tmp_path / "stranger"))
    message = refusal(sshd, sshd.settings(), identity_files=(stranger,))
    assert stranger in message
    assert "ssh-copy-id root@127.0.0.1" in message


def test_no_key_at_all_is_said_so(sshd: Sshd) -> None:
    assert "no key to try" in refusal(sshd, sshd.settings(), identity_files=())


def test_a_file_that_is_missing_or_no_key_is_said_so(sshd: Sshd, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello\n")
    message = refusal(sshd, sshd.settings(), identity_files=(str(tmp_path / "none"), str(tmp_path / "text")))
    assert "No such file" in message
    assert "not a private key" in message


def test_the_usual_files_are_found_without_any_setting(sshd: Sshd, tmp_path: Path) -> None:
    folder = tmp_path / "dot-ssh"
    folder.mkdir()
    shutil.copy(sshd.user_key, folder / "id_ed25519")
    connect("box", sshd.connection(identity_files=()), sshd.settings(ssh_folder=folder)).close()


def test_the_configuration_names_the_key(sshd: Sshd, tmp_path: Path) -> None:
    folder = tmp_path / "dot-ssh"
    folder.mkdir()
    text = (
        f"Host box-alias\n  HostName {sshd.address}\n  Port {sshd.port}\n  User root\n  IdentityFile {sshd.user_key}\n"
    )
    (folder / "config").write_text(text)
    connection = sshd.connection(address="box-alias", port=None, user=None, identity_files=())
    connect("box", connection, sshd.settings(ssh_folder=folder)).close()


def test_the_agents_key_is_offered_when_no_file_is_named(sshd: Sshd, agent: Callable[[Path], None]) -> None:
    agent(sshd.user_key)
    settings = sshd.settings(agent=True)
    work = [
        threading.Thread(target=lambda: connect("box", sshd.connection(identity_files=()), settings).close())
        for _ in range(6)
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()


def test_a_named_file_keeps_the_agents_keys_at_home(sshd: Sshd, agent: Callable[[Path], None], tmp_path: Path) -> None:
    agent(sshd.user_key)
    stranger = str(make_key(tmp_path / "stranger"))
    message = refusal(sshd, sshd.settings(agent=True), identity_files=(stranger,))
    assert "agent key" not in message


def test_an_encrypted_key_is_asked_for_once_for_all_connections(sshd: Sshd, encrypted: Path) -> None:
    questions: list[str] = []

    def ask(question: str) -> str:
        questions.append(question)
        return "open sesame"

    settings = sshd.settings(ask=ask)
    connection = sshd.connection(identity_files=(str(encrypted),))
    work = [threading.Thread(target=lambda: connect("box", connection, settings).close()) for _ in range(4)]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert len(questions) == 1
    assert str(encrypted) in questions[0]


def test_an_encrypted_key_that_the_agent_holds_needs_no_question(
    sshd: Sshd, encrypted: Path, agent: Callable[[Path], None]
) -> None:
    agent(sshd.user_key)
    settings = sshd.settings(agent=True, ask=lambda question: pytest.fail(question))
    connect("box", sshd.connection(identity_files=(str(encrypted),)), settings).close()


def test_an_encrypted_key_that_nobody_can_open_is_said_so(sshd: Sshd, encrypted: Path) -> None:
    message = refusal(sshd, sshd.settings(), identity_files=(str(encrypted),))
    assert "encrypted" in message
    assert "ssh-add" in message


def test_a_wrong_passphrase_is_said_so_and_asked_no_second_time(sshd: Sshd, encrypted: Path) -> None:
    questions: list[str] = []
    settings = sshd.settings(ask=lambda question: questions.append(question) or "wrong")
    for _ in range(2):
        assert "wrong passphrase" in refusal(sshd, settings, identity_files=(str(encrypted),))
    assert len(questions) == 1


def test_a_host_that_takes_passwords_only_is_said_so(make_sshd: Callable[..., Sshd]) -> None:
    server = make_sshd("PubkeyAuthentication no", "PasswordAuthentication yes")
    message = refusal(server, server.settings())
    assert "a key alone does not do there, it asks for password" in message


def test_a_host_that_wants_a_key_and_more_is_said_so(make_sshd: Callable[..., Sshd]) -> None:
    server = make_sshd("AuthenticationMethods publickey,password", "PasswordAuthentication yes")
    assert "it asks for password" in refusal(server, server.settings())


def test_a_host_that_never_answers_the_login_is_given_up(
    make_sshd: Callable[..., Sshd], monkeypatch: pytest.MonkeyPatch
) -> None:
    from bootstrap.errors import UnreachableError
    from bootstrap.transport import session

    monkeypatch.setattr(session, "AUTH_TIMEOUT", 1.0)
    server = make_sshd(
        "AuthorizedKeysCommand /bin/sleep 20", "AuthorizedKeysCommandUser root", "AuthorizedKeysFile none"
    )
    with pytest.raises(UnreachableError, match="did not answer while logging in"):
        connect("box", server.connection(), server.settings())


def test_an_error_of_the_one_who_is_asked_comes_through_as_it_is(sshd: Sshd, encrypted: Path) -> None:
    from bootstrap.errors import InterruptedRunError

    def give_up(question: str) -> str:
        raise InterruptedRunError("interrupted")

    with pytest.raises(InterruptedRunError):
        connect("box", sshd.connection(identity_files=(str(encrypted),)), sshd.settings(ask=give_up))


def test_the_agent_is_not_forwarded(make_sshd: Callable[..., Sshd], agent: Callable[[Path], None]) -> None:
    server = make_sshd("AllowAgentForwarding yes")
    agent(server.user_key)
    folder = server.folder / "dot-ssh"
    folder.mkdir()
    (folder / "config").write_text("Host *\n  ForwardAgent yes\n")
    transport = connect("box", server.connection(identity_files=()), server.settings(agent=True))
    assert transport.run('echo "[$SSH_AUTH_SOCK]"').stdout == "[]\n"
    transport.close()
    assert os.environ["SSH_AUTH_SOCK"]
