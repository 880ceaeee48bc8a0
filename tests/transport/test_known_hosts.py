"""The index of pinned keys and the editing of its file: text in, keys or text out."""

import base64
import hashlib
import hmac
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.errors import BootstrapError
from bootstrap.transport.known_hosts import HostKey, add_line, load, parse, token_of


def key(letter: str, kind: str = "ssh-ed25519") -> HostKey:
    body = kind.encode()
    blob = len(body).to_bytes(4, "big") + body + (32).to_bytes(4, "big") + letter.encode() * 32
    return HostKey(kind, blob)


A, B, C = key("a"), key("b"), key("c")


def hashed(name: str) -> str:
    salt = b"0123456789abcdefghij"
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


def keys(text: str, *names: str) -> tuple[HostKey, ...]:
    return parse(text).pins(names).keys


@pytest.mark.parametrize(
    ("names", "wanted", "found"),
    [
        ("pi-1", "pi-1", True),
        ("pi-1", "PI-1", True),
        ("pi-1", "pi-10", False),
        ("pi-1,192.168.1.11", "192.168.1.11", True),
        ("[192.168.1.11]:2222", "[192.168.1.11]:2222", True),
        ("[192.168.1.11]:2222", "192.168.1.11", False),
        ("[fd00::1]:2222", "[fd00::1]:2222", True),
        ("fd00::1", "fd00::1", True),
        (hashed("pi-1"), "pi-1", True),
        (hashed("pi-1"), "pi-2", False),
        (hashed("[192.168.1.11]:2222"), "[192.168.1.11]:2222", True),
        ("*.lan", "pi-1.lan", True),
        ("*.lan", "pi-1.wan", False),
        ("pi-?", "pi-1", True),
        ("pi-?", "pi-10", False),
        ("*.lan,!secret.lan", "pi-1.lan", True),
        ("*.lan,!secret.lan", "secret.lan", False),
        ("!*.lan,*", "pi-1.lan", False),
        ("[*.lan]:2222", "[pi-1.lan]:2222", True),
        ("[*.lan]:2222", "a", False),
    ],
)
def test_a_line_is_found_by_each_spelling_of_known_hosts(names: str, wanted: str, found: bool) -> None:
    assert keys(f"{names} {A.text}", wanted) == ((A,) if found else ())


def test_the_inventory_name_wins_over_the_address() -> None:
    text = f"pi-1,192.168.1.11 {A.text}\npi-2,192.168.1.12 {B.text}\n"
    assert keys(text, "pi-1", "192.168.1.12") == (A,)
    assert keys(text, "pi-9", "192.168.1.12") == (B,)
    assert keys(text, "pi-9", "192.168.1.19") == ()


def test_all_keys_of_a_host_count() -> None:
    rsa = key("r", "ssh-rsa")
    assert keys(f"pi-1 {A.text}\npi-1 {rsa.text} a comment\n", "pi-1") == (A, rsa)


def test_a_revoked_key_can_not_be_used_even_when_it_is_pinned() -> None:
    pins = parse(f"pi-1 {A.text}\n@revoked * {A.text}\npi-1 {B.text}\n").pins(["pi-1"])
    assert pins.keys == (A, B)
    assert pins.usable == (B,)


def test_a_certificate_authority_is_not_a_host_key() -> None:
    pins = parse(f"@cert-authority *.lan {A.text}\n").pins(["pi-1.lan"])
    assert (pins.keys, pins.authorities) == ((), (A,))


def test_comments_and_empty_lines_say_nothing() -> None:
    assert keys(f"# a comment\n\n   \n  pi-1 {A.text}\n", "pi-1") == (A,)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("pi-1 ssh-ed25519", "three columns"),
        ("@trusted pi-1 " + A.text, "@trusted"),
        ("pi-1 ssh-ed25519 no-base64!", "base64"),
        ("pi-1 ssh-rsa " + A.text.split()[1], "not of the type ssh-rsa"),
        ("<<<<<<< HEAD", "three columns"),
    ],
)
def test_a_line_that_is_no_entry_is_named_with_its_place(line: str, reason: str) -> None:
    with pytest.raises(BootstrapError) as caught:
        parse(f"# comment\n{line}\n", "keys/known_hosts")
    assert "keys/known_hosts:2" in str(caught.value)
    assert reason in str(caught.value)


def test_a_missing_file_pins_nothing_and_an_unreadable_one_is_an_error(tmp_path: Path) -> None:
    assert load(tmp_path / "known_hosts").pins(["pi-1"]).keys == ()
    with pytest.raises(BootstrapError, match="can't be read"):
        load(tmp_path)


def test_fingerprint_and_hash_agree_with_ssh_keygen(tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "k"], check=True)
    path = tmp_path / "known_hosts"
    path.write_text("pi-1 " + " ".join((tmp_path / "k.pub").read_text().split()[:2]) + "\n")
    printed = subprocess.run(["ssh-keygen", "-lf", tmp_path / "k.pub"], check=True, capture_output=True, text=True)
    assert load(path).pins(["pi-1"]).keys[0].fingerprint == printed.stdout.split()[1]
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", path], check=True, capture_output=True)
    assert "pi-1" not in path.read_text()
    assert len(load(path).pins(["pi-1"]).keys) == 1


def test_a_port_is_spelled_as_ssh_spells_it() -> None:
    assert token_of("pi-1.lan", 22) == "pi-1.lan"
    assert token_of("pi-1.lan", 2222) == "[pi-1.lan]:2222"


# --- the file ------------------------------------------------------------------------------------


def test_a_new_host_gets_its_sorted_place_and_the_rest_stays() -> None:
    text = f"# ours\npi-1,10.0.0.1 {A.text}\n\n@revoked * {C.text}\npi-3,10.0.0.3 {A.text}\n{hashed('x')} {A.text}\n"
    lines = add_line(text, ("pi-2", "10.0.0.2"), B).splitlines()
    assert lines[4:6] == [f"pi-2,10.0.0.2 {B.text}", f"pi-3,10.0.0.3 {A.text}"]
    assert [line for line in lines if not line.startswith("pi-2")] == text.splitlines()


def test_a_known_host_keeps_its_place_and_one_line() -> None:
    text = f"pi-2 {A.text}\npi-1,10.0.0.1 {A.text}\npi-1 {C.text}\n"
    assert add_line(text, ("pi-1", "10.0.0.9"), B) == f"pi-2 {A.text}\npi-1,10.0.0.9 {B.text}\n"


def test_an_address_belongs_to_one_host() -> None:
    text = f"pi-1,10.0.0.1 {A.text}\n10.0.0.2 {A.text}\n"
    assert add_line(text, ("pi-2", "10.0.0.1"), B) == f"pi-1 {A.text}\n10.0.0.2 {A.text}\npi-2,10.0.0.1 {B.text}\n"
    assert add_line(text, ("pi-2", "10.0.0.2"), B) == f"pi-1,10.0.0.1 {A.text}\npi-2,10.0.0.2 {B.text}\n"


def test_pinning_the_same_key_again_changes_nothing() -> None:
    once = add_line("# ours\n", ("pi-1", "10.0.0.1"), A)
    assert add_line(once, ("pi-1", "10.0.0.1"), A) == once


names = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)


@given(st.lists(st.tuples(names, st.sampled_from([A, B, C])), max_size=8))
def test_what_was_pinned_last_is_what_is_found(pinned: list[tuple[str, HostKey]]) -> None:
    text = "# ours\n"
    for name, value in pinned:
        text = add_line(text, (name,), value)
    wanted = dict(pinned)
    assert {name: keys(text, name) for name in wanted} == {name: (value,) for name, value in wanted.items()}
    rows = text.splitlines()[1:]
    assert rows == sorted(rows)
    assert len(rows) == len(wanted)
