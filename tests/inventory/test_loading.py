"""Files as they lie on a disk, and several mistakes in one of them."""

import os
from pathlib import Path

import pytest

from bootstrap.errors import ExitCode, InventoryError, UsageError
from bootstrap.inventory import find_inventory, load_inventory

from .conftest import Fail, Load, Write
from .tables import HEAD, WHOLE


def refusal(path: Path) -> UsageError:
    with pytest.raises(UsageError) as caught:
        load_inventory(path, {})
    return caught.value


def test_a_missing_file_is_wrong_usage_and_says_what_to_name(tmp_path: Path) -> None:
    error = refusal(tmp_path / "home.yaml")
    assert error.what == f"there is no file {tmp_path}/home.yaml"
    assert "bootstrap validate" in error.next_step
    assert error.exit_code is ExitCode.USAGE


def test_a_folder_is_wrong_usage(tmp_path: Path) -> None:
    assert "is a folder" in refusal(tmp_path).what


def test_a_file_below_a_file_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    assert "can't be read" in refusal(tmp_path / "a" / "b").what


def test_a_file_without_permission_is_wrong_usage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # root may read everything
    assert "permission denied" in refusal(tmp_path / "home.yaml").what


def test_a_file_that_is_too_large_is_refused(problems: Fail) -> None:
    (problem,) = problems(WHOLE + "#" * 1024 * 1024)
    assert problem.message == "the file is larger than 1 MiB"
    assert (problem.line, problem.column) == (1, 1)


def test_bytes_that_are_not_utf8_are_refused_at_their_place(tmp_path: Path) -> None:
    path = tmp_path / "home.yaml"
    path.write_bytes(b"\xef\xbb\xbf# caf\xc3\xa9\r\nschema: caf\xe9\n")
    with pytest.raises(InventoryError) as caught:
        load_inventory(path, {})
    (problem,) = caught.value.problems
    assert (problem.line, problem.column, problem.message) == (2, 12, "this byte is not UTF-8")
    assert problem.source == "schema: caf\N{REPLACEMENT CHARACTER}"


def test_a_byte_order_mark_and_windows_line_ends_are_read(load: Load, problems: Fail) -> None:
    windows = "\ufeff" + WHOLE.replace("\n", "\r\n")
    assert load(windows).cluster == "home"
    (problem,) = problems(windows + "cluste: x\r\n")
    assert (problem.line, problem.column, problem.source) == (7, 1, "cluste: x")


def test_a_deep_file_ends_in_one_problem_and_not_in_a_stack(problems: Fail) -> None:
    (problem,) = problems("[" * 100_000)
    assert "nested deeper than 50 levels" in problem.message


def test_every_mistake_is_told_at_once_sorted_by_its_place(problems: Fail) -> None:
    found = problems(
        "schema: bootstrap/v1\n"
        "cluster: Home\n"
        "distro: k3s\n"
        "version: 1.30\n"
        "hosts:\n"
        "  a: {adress: 10.0.0.1, role: master}\n"
        "  b: {address: 10.0.0.2:22, labels: {gpu: no, ok: x y}}\n"
        "network: {pods: 10.42.1.0/16}\n"
        "k3s: {server: {disabel: [traefik]}}\n"
        "sans: [5]\n"
    )
    assert [(problem.line, problem.column, problem.message) for problem in found] == [
        (2, 10, "`Home` is not a legal name"),
        (4, 10, "`1.30` without quotes is the number 1.3 to some YAML readers"),
        (6, 7, "unknown key `adress`"),
        (6, 31, "`role` can't be `master`"),
        (7, 16, "`10.0.0.2:22` holds more than an address"),
        (7, 43, "`no` without quotes is the boolean false to some YAML readers"),
        (7, 51, "`x y` is not a legal label value"),
        (8, 17, "`10.42.1.0/16` has host bits set"),
        (9, 16, "`disabel` is no key of k3s 1.36"),
        (10, 8, "item 1 of `sans` must be text, but the number 5 stands here"),
    ]
    assert {problem.file for problem in found} == {found[0].file}


def test_a_mistake_in_a_role_is_not_followed_by_guesses_about_the_cluster(problems: Fail) -> None:
    (problem,) = problems(f"{HEAD}hosts:\n  a: {{address: 10.0.0.1, role: server}}\n")
    assert problem.message == "`role` can't be `server`"


def test_a_mistake_elsewhere_does_not_hide_the_missing_controller(problems: Fail) -> None:
    found = problems(f"{HEAD}hosts:\n  a: {{address: 10.0.0.1, labels: {{x: a b}}}}\n")
    assert [problem.message for problem in found] == ["no host is a controller", "`a b` is not a legal label value"]


def test_the_mistake_of_many_alike_hosts_is_told_once(problems: Fail) -> None:
    (problem,) = problems(f"{WHOLE}  pi-{{1..9}}: {{address: '10.0.1.{{1..9}}', labels: {{x: a b}}}}\n")
    assert "not a legal label value" in problem.message


def test_two_controllers_are_fine_on_an_external_datastore(load: Load) -> None:
    two = f"{WHOLE}  b: {{address: 10.0.0.2, role: controller}}\n"
    store = "k3s: {server: {datastore-endpoint: '${env:STORE}'}}\n"
    assert len(load(two + store).controllers) == 2


def test_the_endpoint_may_be_a_balancer_or_a_controller(load: Load) -> None:
    assert load(f"{WHOLE}endpoint: 10.0.0.5\nothers: {{lb: {{address: 10.0.0.5}}}}\n").endpoint
    assert load(f"{WHOLE}endpoint: 10.0.0.1\n").endpoint


def test_hosts_behind_one_address_may_share_it_with_the_endpoint(load: Load) -> None:
    text = (
        f"{HEAD}hosts:\n  a: {{address: lab.example.com, role: controller+worker, ssh: {{port: 2201}}}}\n"
        "  b: {address: lab.example.com, ssh: {port: 2202}}\nendpoint: lab.example.com\n"
    )
    assert load(text).endpoint


def test_a_source_through_a_symbolic_link_must_stay_in_the_repository(load: Load, problems: Fail, write: Write) -> None:
    root = write(WHOLE, {"files/real": "inside"}).parent.parent
    (root / "files" / "good").symlink_to("real")
    (root / "files" / "bad").symlink_to("/etc/hostname")
    (root / "files" / "loop").symlink_to("loop")
    os.mkfifo(root / "files" / "pipe")
    assert load(f"{WHOLE}files: [{{path: /etc/x, source: files/good}}]\n").hosts[0].files[0].content == "inside"
    for name, message in {"bad": "leads out of", "loop": "", "pipe": "not a regular file"}.items():
        (problem,) = problems(f"{WHOLE}files: [{{path: /etc/x, source: files/{name}}}]\n")
        assert message in problem.message


def test_a_source_that_is_no_text_is_refused(problems: Fail, write: Write) -> None:
    root = write(WHOLE).parent.parent
    for content, message in {
        b"\xff": "not UTF-8",
        b"a\0b": "NUL byte",
        b"x" * 1024 * 1025: "larger than 1 MiB",
    }.items():
        (root / "x").write_bytes(content)
        (problem,) = problems(f"{WHOLE}files: [{{path: /etc/x, source: x}}]\n")
        assert message in problem.message


def test_an_inventory_outside_of_inventories_has_its_own_folder_as_root(tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text(f"{WHOLE}ssh: {{key: id}}\nmirror: m\n")
    inventory = load_inventory(tmp_path / "lab.yaml", {})
    assert inventory.hosts[0].connection.identity_files == (f"{tmp_path}/id",)
    assert inventory.mirror == f"{tmp_path}/m"


# --- which file ----------------------------------------------------------------------------------


def test_the_only_inventory_is_found_from_the_repository_and_from_below(write: Write) -> None:
    path = write(WHOLE)
    below = path.parent.parent / "templates" / "k3s"
    below.mkdir(parents=True)
    assert find_inventory(path.parent.parent) == path
    assert find_inventory(below) == path


def test_several_inventories_are_listed(write: Write) -> None:
    folder = write(WHOLE).parent
    (folder / "lab.yaml").write_text(WHOLE)
    with pytest.raises(UsageError) as caught:
        find_inventory(folder.parent)
    assert caught.value.why == "inventories/home.yaml, inventories/lab.yaml"


@pytest.mark.parametrize("make", ["inventories", ".git"])
def test_no_inventory_is_wrong_usage(tmp_path: Path, make: str) -> None:
    (tmp_path / make).mkdir()
    with pytest.raises(UsageError, match="inventory"):
        find_inventory(tmp_path)
