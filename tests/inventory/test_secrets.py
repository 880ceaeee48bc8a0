"""Values of references: found where they are kept, told where they are missing, never shown."""

import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import bootstrap.secrets
from bootstrap.errors import InventoryError, Problem
from bootstrap.inventory import load_inventory
from bootstrap.model import Reference, Secret
from bootstrap.references import find_references
from bootstrap.secrets import resolve_references

from .conftest import Write
from .tables import WHOLE

Resolve = Callable[..., dict[str, str]]
Refuse = Callable[..., list[Problem]]
CANARY = "canary-b1946ac92492d2347c6235b4d2611184"


@pytest.fixture
def resolve(write: Write) -> Resolve:
    """The values of references by their text."""

    def resolve(*texts: str, text: str = "", files: dict[str, str] | None = None, **environment: str) -> dict[str, str]:
        inventory = load_inventory(write(WHOLE + text, files), environment)
        references = [reference for text in texts for reference in find_references(text)]
        values = resolve_references(inventory, references, {"PATH": "/usr/bin:/bin", **environment})
        assert all(isinstance(value, Secret) for value in values.values())
        return {reference.text: value.reveal() for reference, value in values.items()}

    return resolve


@pytest.fixture
def refuse(resolve: Resolve) -> Refuse:
    def refuse(*texts: str, **arguments: object) -> list[Problem]:
        with pytest.raises(InventoryError) as caught:
            resolve(*texts, **arguments)
        told = "".join(str(problem) for problem in caught.value.problems)
        assert CANARY not in told
        return caught.value.problems

    return refuse


def test_values_come_from_environment_files_secrets_and_commands(resolve: Resolve, tmp_path: Path) -> None:
    outside = tmp_path / "home"
    outside.mkdir()
    (outside / "token").write_text("from home\r\n")
    values = resolve(
        "${env:A} ${file:keys/k} ${file:~/token} ${secret:top} ${secret:deep.er} ${command:printf '%s|' 'a b' \"c\"}",
        text="secrets: s.yaml\n",
        files={"keys/k": "line\nline\n\n", "s.yaml": "top: 0123\ndeep: {er: yes}\n"},
        A="x y",
        HOME=str(outside),
    )
    assert values == {
        "${env:A}": "x y",
        "${file:keys/k}": "line\nline",
        "${file:~/token}": "from home",
        "${secret:top}": "0123",
        "${secret:deep.er}": "yes",
        "${command:printf '%s|' 'a b' \"c\"}": "a b|c|",
    }


def test_generated_and_saved_values_are_left_to_others(resolve: Resolve) -> None:
    assert resolve("${generated:token} ${saved:join}") == {}


def test_each_reference_is_looked_up_once(resolve: Resolve, tmp_path: Path) -> None:
    count = tmp_path / "count"
    script = f"sh -c 'echo x >> {count}; echo value'"
    assert resolve(f"${{command:{script}}} ${{command:{script}}}") == {f"${{command:{script}}}": "value"}
    assert count.read_text() == "x\n"


def test_a_secret_prints_masked(write: Write) -> None:
    inventory = load_inventory(write(WHOLE), {})
    values = resolve_references(inventory, [Reference("env", "A")], {"A": CANARY})
    assert CANARY not in f"{values} {values[Reference('env', 'A')]!r} {values[Reference('env', 'A')]}"


@pytest.mark.parametrize(
    ("reference", "message", "hint"),
    [
        ("${env:GONE}", "the environment has no variable `GONE`", "GONE=..."),
        ("${env:EMPTY}", "${env:EMPTY} is empty", ""),
        ("${file:gone}", "there is no file `gone`", "looked for"),
        ("${file:../../../etc/hostname}", "leads out of the repository", ""),
        ("${file:inventories}", "is a folder", ""),
        ("${file:empty}", "is empty", ""),
        ("${secret:gone}", "`s.yaml` has no key `gone`", "there are: top, deep"),
        ("${secret:deep.gone}", "has no key `deep.gone`", "there are: er"),
        ("${secret:top.er}", "has no key `top.er`", ""),
        ("${secret:deep}", "is not text", "quotes"),
        ("${command:gone-program x}", "`gone-program` is not installed here", ""),
        ("${command:false}", "`false` ended with exit code 1", ""),
        ("${command:sh -c 'echo reason >&2; exit 3'}", "exit code 3", "it says: reason"),
        ("${command:echo 'x}", "can't be split into words", "quotes"),
        ("${command:printf '\\377'}", "not UTF-8", ""),
        ("${command:printf 'a\\000b'}", "NUL byte", ""),
        ("${command:true}", "is empty", ""),
    ],
)
def test_a_missing_value_is_told_where_its_reference_stands(
    refuse: Refuse, reference: str, message: str, hint: str
) -> None:
    files = {"s.yaml": f"top: {CANARY}\ndeep: {{er: {CANARY}}}\n", "empty": "\n"}
    text = f"# {reference} in a comment\nsecrets: s.yaml\nfiles:\n- path: /x\n  content: |\n    x {reference}\n"
    (problem,) = refuse(reference, text=text, files=files, EMPTY="")
    assert message in problem.message
    assert hint in problem.hint
    assert problem.source[problem.column - 1 :].startswith(reference)
    assert not problem.source.startswith("#")


def test_every_missing_value_is_told_at_once(refuse: Refuse) -> None:
    text = "token: ${env:A}\nk3s: {server: {datastore-endpoint: '${env:B}'}}\n"
    assert [(problem.line, problem.column) for problem in refuse("${env:B} ${env:A}", text=text)] == [(7, 8), (8, 37)]


def test_a_reference_inside_a_source_is_told_in_that_file(refuse: Refuse) -> None:
    text = "hooks: [{name: x, at: after-apply, source: x.sh}]\n"
    (problem,) = refuse("${env:A}", text=text, files={"x.sh": "set -eu\necho ${env:A}\n"})
    assert (problem.file, problem.line, problem.column) == ("x.sh", 2, 6)


def test_a_secret_without_a_secrets_file_says_how_to_name_one(refuse: Refuse) -> None:
    (problem,) = refuse("${secret:x}")
    assert (problem.message, problem.hint) == (
        "no secrets file is named",
        "name it, for example secrets: secrets.sops.yaml",
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"top: '{CANARY}\n", "`s.yaml` is not YAML in line"),
        (f"- {CANARY}\n", "must be a mapping"),
        ("[" * 5000, "is not YAML"),
        ("a: &x [" + "a, " * 9 + f"{CANARY}]\n", "is not text"),
    ],
)
def test_a_secrets_file_that_is_wrong_is_told_without_its_content(refuse: Refuse, content: str, message: str) -> None:
    (problem,) = refuse("${secret:a}", text="secrets: s.yaml\n", files={"s.yaml": content})
    assert message in problem.message


def test_a_secrets_file_in_git_in_clear_is_refused(resolve: Resolve, refuse: Refuse, tmp_path: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    arguments = {"text": "secrets: s.yaml\n", "files": {"s.yaml": f"a: {CANARY}\n"}}
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    assert resolve("${secret:a}", **arguments) == {"${secret:a}": CANARY}
    subprocess.run(["git", "-C", tmp_path, "add", "s.yaml"], check=True)
    (problem,) = refuse("${secret:a}", **arguments)
    assert problem.message == "`s.yaml` is in git in clear"


# --- sops ----------------------------------------------------------------------------------------

ENCRYPTED = {"s.yaml": "a: ENC[AES256_GCM,data:xx]\nsops:\n  mac: ENC[xx]\n"}


def fake_sops(folder: Path, script: str) -> str:
    """A program named sops that behaves as told; gives the PATH with it."""
    program = folder / "bin" / "sops"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return f"{program.parent}:/usr/bin:/bin"


def test_a_sops_file_is_decrypted_by_sops_once(resolve: Resolve, tmp_path: Path) -> None:
    script = f"echo \"$@\" >> {tmp_path}/calls; printf 'a: clear\\nb: {{c: too}}\\n'"
    path = fake_sops(tmp_path, script)
    values = resolve("${secret:a} ${secret:b.c}", text="secrets: s.yaml\n", files=ENCRYPTED, PATH=path)
    assert values == {"${secret:a}": "clear", "${secret:b.c}": "too"}
    assert (tmp_path / "calls").read_text() == f"-d {tmp_path}/s.yaml\n"


def test_a_missing_sops_says_how_to_get_it(refuse: Refuse, tmp_path: Path) -> None:
    (problem,) = refuse("${secret:a}", text="secrets: s.yaml\n", files=ENCRYPTED, PATH=str(tmp_path))
    assert "encrypted by sops, which is not installed here" in problem.message
    assert "install sops" in problem.hint


def test_a_failing_sops_is_told_with_its_reason(refuse: Refuse, tmp_path: Path) -> None:
    script = f"echo {CANARY}; echo 'no identity matched' >&2; exit 128"
    path = fake_sops(tmp_path, script)
    problems = refuse("${secret:a} ${secret:b}", text="secrets: s.yaml\n", files=ENCRYPTED, PATH=path)
    assert {problem.message for problem in problems} == {"`s.yaml` can't be decrypted: `sops` ended with exit code 128"}
    assert problems[0].hint == "it says: no identity matched"


def test_a_command_that_waits_is_given_up(refuse: Refuse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap.secrets, "COMMAND_DEADLINE", 0.2)
    (problem,) = refuse("${command:sleep 60}")
    assert "did not end within" in problem.message
    assert "passphrase" in problem.hint


def test_a_command_can_read_nothing_from_the_terminal(resolve: Resolve) -> None:
    assert resolve("${command:sh -c 'read x || echo nobody'}") == {"${command:sh -c 'read x || echo nobody'}": "nobody"}
