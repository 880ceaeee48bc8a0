"""Commands on a real sshd: what arrives, what comes back, what the wire and the process list see."""

import secrets
import threading
from collections.abc import Callable

import pytest
from private_sshd import Sshd, attempt, end_of, running, wait_for

from bootstrap.errors import ConnectionLostError, DeadlineError, TransportError
from bootstrap.transport.ssh import SshTransport, connect

EVERY_BYTE = bytes(range(256)) * 64


def test_a_command_gives_its_two_streams_and_its_exit_code(box: SshTransport) -> None:
    result = box.run("echo out; echo err >&2; exit 7")
    assert (result.stdout, result.stderr, result.exit_code) == ("out\n", "err\n", 7)


def test_output_without_a_last_newline_stays_without(box: SshTransport) -> None:
    assert box.run("printf a; printf b >&2").stdout == "a"
    assert box.run("printf a; printf b >&2").stderr == "b"


def test_every_byte_of_the_input_arrives(box: SshTransport) -> None:
    assert box.run("od -An -v -tx1 | tr -d ' \\n'", stdin=EVERY_BYTE).stdout == EVERY_BYTE.hex()


def test_large_input_and_large_output_cross_without_waiting_for_each_other(box: SshTransport) -> None:
    content = b"0123456789abcde\n" * 400_000
    assert box.run("cat", stdin=content).stdout == content.decode()


def test_input_that_a_script_does_not_read_does_no_harm(box: SshTransport) -> None:
    assert box.run("echo done", stdin=b"x" * 10_000_000).stdout == "done\n"


@pytest.mark.parametrize(
    "script",
    [
        "",
        "# only a comment",
        "cat <<'END'\n'\"$`\\!\nEND",
        "x='a b'\nprintf '%s\\n' \"$x\"",
        "echo ünïcödé",
        "! false",
        "exit 5",
    ],
    ids=["empty", "comment", "every quote", "lines", "unicode", "negation", "exit"],
)
def test_scripts_arrive_as_written(box: SshTransport, script: str) -> None:
    from bootstrap.transport.local import LocalTransport

    here = LocalTransport().run(script)
    there = box.run(script)
    assert (there.exit_code, there.stdout) == (here.exit_code, here.stdout)


def test_a_script_larger_than_a_command_line_may_be_runs(box: SshTransport) -> None:
    assert box.run(f": {'x' * 300_000}\necho end").stdout == "end\n"


def test_errexit_holds_inside_a_script(box: SshTransport) -> None:
    result = box.run("set -e\nfalse\necho not here")
    assert (result.exit_code, result.stdout) == (1, "")


def test_a_script_runs_in_the_root_folder_with_a_plain_locale_and_the_system_folders(box: SshTransport) -> None:
    result = box.run('pwd; umask; echo "$LC_ALL"; case $PATH in */usr/sbin:*) echo sbin ;; esac')
    assert result.stdout.split() == ["/", "0022", "C", "sbin"]


def test_undecodable_output_is_replaced_and_not_an_error(box: SshTransport) -> None:
    assert box.run("printf '\\377ok'").stdout == "\ufffdok"


READ_ALL = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' ' '"


def test_neither_script_nor_input_shows_in_any_command_line_or_environment(box: SshTransport) -> None:
    canary = secrets.token_hex(8)
    result = box.run(f"{READ_ALL}; : {canary}; cat >/dev/null", stdin=canary.encode())
    assert "read -r n" in result.stdout, "our own shell is among what was read"
    assert canary not in result.stdout


def test_a_canary_is_seen_where_a_command_line_or_environment_holds_it(box: SshTransport) -> None:
    canary = secrets.token_hex(8)
    assert canary in box.run(f'sh -c "{READ_ALL}; :" {canary}').stdout
    assert canary in box.run(f'export X={canary}; sh -c "{READ_ALL}; :"').stdout


def test_a_background_process_that_keeps_the_streams_does_not_hold_the_command(box: SshTransport) -> None:
    result = box.run("sleep 86411 & echo started", deadline=30)
    assert result.stdout == "started\n"
    wait_for(lambda: running("sleep 86411"), "the process left behind")
    end_of("sleep 86411")


def test_a_script_that_prints_a_mark_of_its_own_is_not_believed(box: SshTransport) -> None:
    result = box.run("printf '\\n%s end 0 \\n' 0123456789abcdef01234567; exit 9")
    assert result.exit_code == 9
    assert "end 0" in result.stdout


def test_a_command_killed_by_a_signal_has_an_exit_code_beyond_128(box: SshTransport) -> None:
    assert box.run("kill -KILL $$").exit_code == 137
    assert box.run("sh -c 'kill -TERM $$'").exit_code == 143
    assert box.run("echo still connected").ok


def test_at_the_deadline_the_whole_process_group_ends_on_the_host(box: SshTransport) -> None:
    with pytest.raises(DeadlineError) as caught:
        box.run("echo begun; sleep 86412 & sleep 86412", deadline=1)
    assert "did not end within 1 s" in str(caught.value)
    assert "begun" in str(caught.value)
    wait_for(lambda: not running("sleep 86412"), "the group to end")


def test_a_script_that_ignores_the_polite_signal_ends_too(box: SshTransport) -> None:
    with pytest.raises(DeadlineError):
        box.run("trap '' TERM; sleep 86413; sleep 86413", deadline=1)
    wait_for(lambda: not running("sleep 86413"), "the group to end")


def test_the_deadline_holds_on_the_host_when_the_connection_is_gone(sshd: Sshd) -> None:
    transport = connect("box", sshd.connection(), sshd.settings())
    failures: list[BaseException] = []
    thread = threading.Thread(target=attempt, args=(lambda: transport.run("sleep 86414", deadline=3), failures))
    thread.start()
    wait_for(lambda: running("sleep 86414"), "the command to start")
    transport.close()
    thread.join(10)
    assert [type(failure) for failure in failures] == [ConnectionLostError]
    assert running("sleep 86414"), "a remote command outlives its connection"
    wait_for(lambda: not running("sleep 86414"), "the host's own deadline")


def test_a_command_that_ends_in_time_leaves_no_watcher_behind(box: SshTransport) -> None:
    box.run("true", deadline=86415)
    wait_for(lambda: not running("sleep 86415"), "the watcher to go")


def test_too_much_output_is_cut_off(box: SshTransport) -> None:
    with pytest.raises(TransportError) as caught:
        box.run("head -c 80000000 /dev/zero")
    assert "more than 64 MiB" in str(caught.value)
    assert box.run("echo alive").stdout == "alive\n"


def test_a_nul_byte_in_a_script_is_the_callers_mistake(box: SshTransport) -> None:
    with pytest.raises(ValueError, match="NUL"):
        box.run("echo \0")


def test_each_command_is_one_channel(box: SshTransport) -> None:
    for _ in range(3):
        box.run("true")
    assert box.executions == 3


def test_more_threads_than_channels_take_turns(make_sshd: Callable[..., Sshd]) -> None:
    server = make_sshd()  # ten sessions, of which we use eight
    transport = connect("box", server.connection(), server.settings())
    results: list[str] = []
    work = [
        threading.Thread(target=lambda number=number: results.append(transport.run(f"sleep 0.2; echo {number}").stdout))
        for number in range(30)
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert sorted(map(int, results)) == list(range(30))
    transport.close()


def test_a_server_that_allows_fewer_channels_is_told_apart_from_a_lost_one(
    make_sshd: Callable[..., Sshd], monkeypatch: pytest.MonkeyPatch
) -> None:
    from bootstrap.transport import exchange

    monkeypatch.setattr(exchange, "SETTLING", 0.2)
    server = make_sshd("MaxSessions 1")
    transport = connect("box", server.connection(), server.settings())
    thread = threading.Thread(target=attempt, args=(lambda: transport.run("sleep 86416"), []))
    thread.start()
    wait_for(lambda: running("sleep 86416"), "the first channel")
    with pytest.raises(TransportError) as caught:
        transport.run("true")
    assert "MaxSessions" in str(caught.value)
    transport.close()
    thread.join()
    end_of("sleep 86416")


def test_a_login_shell_that_runs_nothing_is_named(make_sshd: Callable[..., Sshd]) -> None:
    server = make_sshd("ForceCommand /bin/echo this account is not available")
    transport = connect("box", server.connection(), server.settings())
    with pytest.raises(TransportError) as caught:
        transport.run("true")
    assert "this account is not available" in str(caught.value)
    transport.close()


NOISE = """echo "rc file on stdout"; echo "rc file on stderr" >&2
alias cat=false sh=false dd=false
export LC_ALL=tr_TR.UTF-8 LANG=tr_TR.UTF-8 LANGUAGE=tr
printf '\\n0123456789abcdef start\\n'
set -o noclobber
"""


def test_a_noisy_rc_file_changes_no_answer_and_no_file(make_sshd: Callable[..., Sshd]) -> None:
    server = make_sshd()
    (server.home / ".bashrc").write_text(NOISE)
    transport = connect("box", server.connection(), server.settings())
    result = transport.run("cat; echo err >&2; echo $LC_ALL", stdin=EVERY_BYTE[:128])
    assert result.stdout == EVERY_BYTE[:128].decode() + "C\n"
    assert result.stderr == "err\n"
    transport.close()


def test_an_ipv6_address_is_an_address(make_sshd: Callable[..., Sshd]) -> None:
    server = make_sshd(address="::1")
    assert server.token.startswith("[::1]:")
    transport = connect("box", server.connection(), server.settings(f"{server.token} {server.public_key()}"))
    assert transport.run("echo six").stdout == "six\n"
    transport.close()
