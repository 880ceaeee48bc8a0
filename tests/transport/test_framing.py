"""Frames for the remote shell, and answers read from streams that come in any pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.model import Escalation
from bootstrap.transport.escalation import Refusal, Way, asking, becoming, choosing, next_way
from bootstrap.transport.framing import COMMAND, LOADER, Answer, Job, frame

MARK = "0123456789abcdef"


def answer(*pieces: tuple[bytes, bytes], mark: str = MARK, terminal: bool = False) -> Answer:
    made = Answer(mark, terminal=terminal)
    for out, err in pieces:
        made.feed(out, err)
    return made


def test_the_command_line_is_constant_and_has_nothing_a_login_shell_could_take_for_its_own() -> None:
    assert f"exec sh -c '{LOADER}'" == COMMAND
    assert not set(LOADER) & set("'\\!\n")


def test_a_frame_counts_bytes_and_not_letters() -> None:
    assert frame("ü") == b"2\n\xc3\xbc"
    assert frame("") == b"1\n:"


def test_a_script_is_nowhere_but_in_its_own_frame() -> None:
    job = Job("echo canary", MARK, 5)
    assert job.frames().count(b"canary") == 1
    assert job.frames().endswith(frame("echo canary"))


def test_the_host_counts_whole_seconds_and_we_wait_a_little_longer() -> None:
    assert [Job("", MARK, deadline).host_deadline for deadline in (0.1, 1, 1.5, 60)] == [1, 1, 2, 60]
    assert Job("", MARK, 60).limit > 60


def test_noise_before_the_start_is_no_output() -> None:
    made = answer((b"Welcome!\n\n%s start\nreal\n%s end 3 \n" % (MARK.encode(), MARK.encode()), b""))
    assert (made.stdout, made.exit_code, made.noise) == ("real", 3, "Welcome!")


def test_an_answer_is_complete_only_with_both_streams() -> None:
    mark = MARK.encode()
    made = answer((b"\n%s start\n\n%s end 0 \n" % (mark, mark), b"\n%s start\nlast words" % mark))
    assert made.ended
    assert not made.complete
    made.feed(b"", b"\n%s end\n" % mark)
    assert made.complete
    assert made.stderr == "last words"


def test_an_answer_says_when_the_host_ended_the_command() -> None:
    mark = MARK.encode()
    assert answer((b"\n%s start\n\n%s end 143 late\n" % (mark, mark), b"")).late


def test_on_a_terminal_errors_come_after_their_own_mark() -> None:
    mark = MARK.encode()
    made = answer((b"\n%s start\nout\n%s errors\nerr\n%s end 0 \n" % (mark, mark, mark), b""), terminal=True)
    assert (made.complete, made.stdout, made.stderr) == (True, "out", "err")


def test_a_foreign_mark_ends_nothing() -> None:
    made = answer((b"\n%s start\n\nffff end 0 \n" % MARK.encode(), b""))
    assert not made.ended
    with pytest.raises(ValueError, match="not ended"):
        _ = made.exit_code


@given(st.binary(max_size=200), st.binary(max_size=200), st.lists(st.integers(1, 40), max_size=30), st.integers(0, 255))
def test_any_bytes_in_any_pieces_give_the_same_answer(out: bytes, err: bytes, cuts: list[int], code: int) -> None:
    mark = MARK.encode()
    streams = [
        b"noise\n%s start\n%s\n%s end %d \n" % (mark, out, mark, code),
        b"noise\n%s start\n%s\n%s end\n" % (mark, err, mark),
    ]
    made = Answer(MARK)
    for cut in [*cuts, 10_000]:
        made.feed(streams[0][:cut], streams[1][:cut])
        streams = [stream[cut:] for stream in streams]
    assert made.complete
    assert made.exit_code == code
    assert (made.stdout, made.stderr) == (out.decode(errors="replace"), err.decode(errors="replace"))


# --- becoming root -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "found"),
    [
        ("sudo: sudo: a password is required", Way("sudo", asks=True)),
        ("sudo: sudo: sorry, a password is required to run sudo", Way("sudo", asks=True)),
        ("sudo: sudo: interactive authentication is required", Way("sudo", asks=True)),
        ("sudo: sudo: sorry, you must have a tty to run sudo", Way("sudo", terminal=True)),
        ("sudo: ops is not in the sudoers file.", None),
        ("sudo: not installed", None),
        ("doas: doas: Authentication required", None),
        ("doas: doas: Operation not permitted", None),
    ],
)
def test_a_refusal_leads_to_the_next_way(reason: str, found: Way | None) -> None:
    assert next_way(Refusal((reason,)), Way()) == found


def test_no_way_is_tried_twice() -> None:
    password = Refusal(("sudo: a password is required",))
    terminal = Refusal(("sudo: sorry, you must have a tty to run sudo",))
    assert next_way(password, Way("sudo", asks=True)) is None
    assert next_way(terminal, Way("sudo", terminal=True)) is None
    assert next_way(password, Way("sudo", terminal=True)) == Way("sudo", asks=True, terminal=True)


def test_each_setting_tries_its_own_tools() -> None:
    assert "tools='sudo doas'" in choosing(Escalation.AUTO, MARK)
    assert "tools=sudo\n" in choosing(Escalation.SUDO, MARK)
    assert "tools=doas\n" in choosing(Escalation.DOAS, MARK)
    assert becoming(Way()) == ""
    assert becoming(Way("doas")).startswith("exec doas -n sh -c ")


def test_sudo_asks_with_a_prompt_of_ours_and_never_from_memory() -> None:
    assert 'sudo -S -k -p "$prompt"' in asking("PROMPT", "REACHED")
    assert "prompt=PROMPT" in asking("PROMPT", "REACHED")


def test_a_prompt_counts_on_the_error_stream_alone() -> None:
    assert answer((b"", b"lecture PROMPT")).asks("PROMPT")
    assert not answer((b"PROMPT", b"")).asks("PROMPT")
    assert not answer((b"", b"PROMPT")).asks("PROMPT", times=2)
    assert answer((b"PROMPT", b""), terminal=True).asks("PROMPT")
