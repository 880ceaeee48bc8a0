"""No spelling of a secret survives; nothing else changes."""

import base64
import json
import re
import shlex
import threading
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bootstrap.model import Secret
from bootstrap.redact import MASK, Redactor, escape_controls, mask_lines, mask_urls

# Without * (the mask itself), and without surrounding blanks, which nobody means.
VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="*"), min_size=4, max_size=40).filter(
    lambda value: len(value.strip()) >= 4
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


def spellings(value: str) -> set[str]:
    return {
        value,
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        shlex.quote(value),
        value.replace("'", "'\\''"),
        value.replace("'", "''"),
        quote(value),
        quote(value, safe=""),
        quote_plus(value),
        re.sub("%..", lambda match: match[0].lower(), quote(value, safe="")),
    }


@given(VALUES, TEXTS, TEXTS)
@example("it's $ecret/1 & more", "", "")
def test_no_spelling_of_a_secret_survives(value: str, before: str, after: str) -> None:
    redactor = Redactor([Secret(value)])
    for spelling in spellings(value.strip()):
        masked = redactor.mask(before + spelling + after)
        assert spelling not in masked
        assert value.strip() not in masked


@given(VALUES, st.binary(max_size=7), st.binary(max_size=7))
def test_base64_of_a_secret_decodes_to_nothing_of_it_at_any_alignment(value: str, before: bytes, after: bytes) -> None:
    core = value.strip().encode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        text = encode(before + core + after).decode()
        masked = Redactor([Secret(value)]).mask(f"x: {text}\n")
        assert masked.startswith("x: ")
        assert MASK in masked
        assert len(masked.replace(MASK, "")) - 4 <= len(text) - len(core) * 8 // 6 + 2


@given(VALUES, st.text("bcdfgh \n.,:/{}", max_size=200))
def test_text_without_the_secret_is_unchanged(value: str, text: str) -> None:
    if not any(letter in text for letter in set(value.strip())):
        assert Redactor([Secret(value)]).mask(text) == text


@given(VALUES, VALUES, TEXTS)
def test_secrets_that_overlap_leave_no_rest(first: str, second: str, text: str) -> None:
    first, second = first.strip(), second.strip()
    joined = first + second[1:] if first[-1] == second[0] else first + second
    masked = Redactor([Secret(first), Secret(second)]).mask(joined)
    assert masked == MASK


@pytest.mark.parametrize("value", ["", " ", "\n", "***", "******"])
def test_a_value_that_hides_nothing_changes_nothing(value: str) -> None:
    assert Redactor([Secret(value)]).mask("a ****** b\n\n c") == "a ****** b\n\n c"


def test_a_short_secret_is_masked_only_where_it_stands_alone() -> None:
    redactor = Redactor([Secret("ab")])
    assert redactor.mask("pin: ab, table, cab_ab ab") == f"pin: {MASK}, table, cab_ab {MASK}"
    assert redactor.mask("YWI=") == MASK


def test_both_neighbours_of_a_base64_secret_lose_the_bits_they_hold() -> None:
    text = base64.b64encode(b"a" + b"topsecret" + b"zz").decode()
    assert Redactor([Secret("topsecret")]).mask(text) == f"Y{MASK}p6"


def test_words_of_a_key_file_are_masked_on_their_own_line() -> None:
    body = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW"
    key = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n-----END OPENSSH PRIVATE KEY-----\n"
    assert Redactor([Secret(key)]).mask(f"level=info {body} x") == f"level=info {MASK} x"


def test_the_password_of_a_secure_token_is_masked_without_its_prefix() -> None:
    token = "K10" + "ab12" * 16 + "::server:correcthorsebattery"
    assert Redactor([Secret(token)]).mask("token is correcthorsebattery") == f"token is {MASK}"


def test_base64_in_lines_as_the_base64_command_prints_it_is_masked() -> None:
    value = bytes(range(32, 127)).decode() * 2
    masked = Redactor([Secret(value)]).mask(base64.encodebytes(value.encode()).decode())
    assert len(masked.replace(MASK, "").strip()) < 16


def test_json_as_go_writes_it_is_masked() -> None:
    assert Redactor([Secret("a<b>&c")]).mask(r'"a\u003cb\u003e\u0026c"') == f'"{MASK}"'


def test_a_secret_that_comes_later_is_masked_from_then_on() -> None:
    redactor = Redactor()
    assert redactor.mask("later") == "later"
    redactor.add(Secret("later"))
    assert redactor.mask("later") == MASK


def test_adding_from_many_threads_loses_none() -> None:
    redactor = Redactor()
    values = [f"secret-number-{number:03}" for number in range(64)]
    threads = [threading.Thread(target=redactor.add, args=(Secret(value),)) for value in values]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert redactor.mask("\n".join(values)) == "\n".join([MASK] * 64)


# --- values whose key says secret ----------------------------------------------------------------

LINES = {
    "token: abc": f"token: {MASK}",
    '  agent-token: "a b" # note': f"  agent-token: {MASK}",
    "token: ${env:TOKEN}": "token: ${env:TOKEN}",
    "token-file: /run/token": "token-file: /run/token",
    "secrets-encryption: true": "secrets-encryption: true",
    "secretName: tls": "secretName: tls",
    "author: Ada": "author: Ada",
    "auth:": "auth:",
    "auth: {}": "auth: {}",
    "client-key-data: LS0t": f"client-key-data: {MASK}",
    "etcd-s3-secret-key: x": f"etcd-s3-secret-key: {MASK}",
    "export K3S_TOKEN='a b'": f"export K3S_TOKEN={MASK}",
    "exec k3s --token abc --debug": f"exec k3s --token {MASK} --debug",
    "- --agent-token=abc": f"- --agent-token={MASK}",
    '{"auths": {"r": {"auth": "abc=="}, "x": 1}}': f'{{"auths": {{"r": {{"auth": {MASK}}}, "x": 1}}}}',
    "datastore-endpoint: postgres://u:pw@h/db": f"datastore-endpoint: postgres://u:{MASK}@h/db",
    "image: ghcr.io/a/b:1@sha256:ab": "image: ghcr.io/a/b:1@sha256:ab",
}


@pytest.mark.parametrize("line", LINES)
def test_a_value_is_masked_by_its_key(line: str) -> None:
    assert mask_lines([line]) == [LINES[line]]


def test_a_block_scalar_below_a_secret_key_is_masked_to_its_end() -> None:
    assert mask_lines(["password: |", "  one", "", "  two", "name: x"]) == [
        "password: |", f"  {MASK}", "", f"  {MASK}", "name: x",
    ]  # fmt: skip


def test_a_private_key_is_masked_wherever_it_lies() -> None:
    lines = ["-----BEGIN EC PRIVATE KEY-----", "abc", "-----END EC PRIVATE KEY-----", "abc"]
    assert mask_lines(lines) == [lines[0], MASK, *lines[2:]]


def test_all_data_of_a_kubernetes_secret_are_masked_and_no_other_objects_data() -> None:
    data = ["data:", "  user: YWJj", "type: Opaque"]
    assert mask_lines(["kind: Secret", *data]) == ["kind: Secret", "data:", f"  user: {MASK}", "type: Opaque"]
    assert mask_lines(["kind: ConfigMap", *data]) == ["kind: ConfigMap", *data]


@given(st.lists(st.text(max_size=40).filter(lambda line: "\n" not in line), max_size=10))
def test_masking_keeps_every_line_in_its_place(lines: list[str]) -> None:
    assert len(mask_lines(lines)) == len(lines)


def test_a_password_in_a_url_is_masked() -> None:
    assert mask_urls("https://me:pw@mirror.lan/x") == f"https://me:{MASK}@mirror.lan/x"


# --- control characters --------------------------------------------------------------------------


@given(st.text())
def test_nothing_that_steers_a_terminal_is_left(text: str) -> None:
    shown = escape_controls(text)
    assert all(letter.isprintable() or letter in "\t\n" for letter in shown)
    assert escape_controls(shown) == shown
