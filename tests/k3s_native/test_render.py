"""Templates: where they are found, what they may do, and what is said when they fail."""

import os
import time
from pathlib import Path

import pytest

from bootstrap.driver import TemplateUse
from bootstrap.errors import RenderError
from bootstrap.model import Artifact
from bootstrap.render import compare_tree, render, shipped_templates, write_tree
from tests.k3s_native.inventories import make_inventory

INVENTORY = make_inventory()


def render_text(folder: Path, text: str, **variables: object) -> str:
    (folder / "k3s").mkdir(exist_ok=True)
    (folder / "k3s" / "own.j2").write_text(text)
    (artifact,) = render(INVENTORY, [TemplateUse("one", "own.j2", "/etc/own", variables)], [folder])
    return artifact.content


def test_the_shipped_templates_are_found() -> None:
    assert (shipped_templates() / "k3s" / "config.yaml.j2").is_file()


def test_a_template_of_the_repository_replaces_the_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "k3s").mkdir()
    (tmp_path / "k3s" / "registries.yaml.j2").write_text("own: {{ registries | to_yaml }}")
    use = TemplateUse("one", "registries.yaml.j2", "/etc/r", {"registries": {"a": 1}}, "0600", "root:ops")
    assert render(INVENTORY, [use], [tmp_path]) == (Artifact("one", "/etc/r", "own: a: 1\n", "0600", "root:ops"),)
    assert render(INVENTORY, [use])[0].content.startswith("# Where images come from")


def test_a_template_of_the_repository_may_build_on_a_shipped_one(tmp_path: Path) -> None:
    assert render_text(tmp_path, "{% include 'k3s/verbatim.j2' %}!", content="x") == "x!"


def test_nothing_is_escaped_or_stripped(tmp_path: Path) -> None:
    assert render_text(tmp_path, "{{ x }}\n\n", x="<a> & 'b'\n") == "<a> & 'b'\n\n\n"


def test_references_stay_as_they_are(tmp_path: Path) -> None:
    assert render_text(tmp_path, "a: ${env:A} {{ x }}", x="$${env:B}") == "a: ${env:A} $${env:B}"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a\nb: {{ missing }}\n", 2, "'missing' is undefined"),
        ("a\n\n{{ x.missing }}", 3, "has no attribute 'missing'"),
        ("{{ missing | to_yaml }}", 1, "'missing' is undefined"),
        ("{{ {'a': missing} | to_yaml }}", 1, "'missing' is undefined"),
        ("{% if missing %}{% endif %}", 1, "'missing' is undefined"),
        ("a\n{% if %}", 2, "Expected an expression"),
        ("a\n{% for %}", 2, ""),
        ("{{ x | nofilter }}", 1, "nofilter"),
        ("\n{{ 1 / 0 }}", 2, "division by zero"),
        ("{{ x.__class__ }}", 1, "unsafe"),
        ("{{ x.append(1) }}", 1, "unsafe"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", 1, "unsafe"),
        ("{{ x + 1 }}", 1, "can only concatenate"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", 1, "recursion"),
    ],
)
def test_a_failing_template_is_told_by_file_line_and_name(tmp_path: Path, text: str, line: int, message: str) -> None:
    with pytest.raises(RenderError) as caught:
        render_text(tmp_path, text, x=[1])
    assert caught.value.where == f"{tmp_path}/k3s/own.j2:{line}"
    assert message in caught.value.what
    assert "/etc/own of one" in caught.value.what


@pytest.mark.parametrize(
    "text",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{% for i in range(999999) %}{{ 'xxxxxxxxxx' }}{% endfor %}",
        "{{ 'x' * 999999999 }}",
        "{{ 999999999 * 'x' }}",
        "{{ [1] * 999999999 }}",
        "{{ 9 ** 999999999 }}",
    ],
)
def test_a_template_out_of_hand_is_stopped(tmp_path: Path, text: str) -> None:
    with pytest.raises(RenderError, match=r"grows beyond|turns|power"):
        render_text(tmp_path, text)


def test_a_template_that_takes_too_long_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 3))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with pytest.raises(RenderError, match="more than 5 seconds"):
        render_text(tmp_path, "{{ x }}\n{{ x }}\n{{ x }}\n", x=1)


@pytest.mark.parametrize("name", ["k3s/none.j2", "../secret", "/etc/passwd"])
def test_a_template_that_is_not_there_names_the_places_that_were_looked_at(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("x")
    with pytest.raises(RenderError) as caught:
        render_text(tmp_path, "{% include '" + name + "' %}")
    assert caught.value.what == f"there is no template {name}"
    assert str(tmp_path) in caught.value.why


# --- the tree ------------------------------------------------------------------------------------

ARTIFACTS = (
    Artifact("one", "/etc/a.yaml", "a\n", "0600"),
    Artifact("one", "/usr/b.sh", "ä\n", "0755"),
    Artifact("two", "/etc/a.yaml", "c\n"),
)


def list_files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_bytes().decode()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_written_tree_holds_each_file_below_its_host(tmp_path: Path) -> None:
    changes = write_tree(ARTIFACTS, tmp_path / "home")
    assert list_files(tmp_path / "home") == {"one/etc/a.yaml": "a\n", "one/usr/b.sh": "ä\n", "two/etc/a.yaml": "c\n"}
    assert changes == ["one/etc/a.yaml is missing", "one/usr/b.sh is missing", "two/etc/a.yaml is missing"]
    assert compare_tree(ARTIFACTS, tmp_path / "home") == []


def test_a_second_write_touches_nothing(tmp_path: Path) -> None:
    def written() -> dict[Path, tuple[int, ...]]:
        """All that a write would change; the time of reading is another matter, and moves with the clock's ticks."""
        stats = {path: path.stat() for path in tmp_path.rglob("*")}
        return {path: (s.st_ino, s.st_mode, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for path, s in stats.items()}

    write_tree(ARTIFACTS, tmp_path)
    before = written()
    assert write_tree(ARTIFACTS, tmp_path) == []
    assert written() == before


def test_differences_are_told_by_path(tmp_path: Path) -> None:
    write_tree(ARTIFACTS, tmp_path)
    (tmp_path / "one/etc/a.yaml").write_text("other")
    (tmp_path / "two/etc/a.yaml").unlink()
    (tmp_path / "two/etc/old.yaml").write_text("x")
    wanted = ["one/etc/a.yaml differs", "two/etc/a.yaml is missing", "two/etc/old.yaml belongs to nothing any more"]
    assert compare_tree(ARTIFACTS, tmp_path) == wanted
    assert write_tree(ARTIFACTS, tmp_path) == wanted
    assert compare_tree(ARTIFACTS, tmp_path) == []


def test_a_host_that_is_gone_leaves_no_folder_behind_and_files_beside_the_hosts_stay(tmp_path: Path) -> None:
    write_tree(ARTIFACTS, tmp_path)
    (tmp_path / "README.md").write_text("mine")
    write_tree(ARTIFACTS[:2], tmp_path)
    assert list_files(tmp_path).keys() == {"README.md", "one/etc/a.yaml", "one/usr/b.sh"}
    assert not (tmp_path / "two").exists()


def test_line_ends_count(tmp_path: Path) -> None:
    write_tree(ARTIFACTS, tmp_path)
    (tmp_path / "one/etc/a.yaml").write_bytes(b"a\r\n")
    assert compare_tree(ARTIFACTS, tmp_path) == ["one/etc/a.yaml differs"]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("a\n")
    tree = tmp_path / "tree"
    (tree / "one/etc").mkdir(parents=True)
    (tree / "one/etc/a.yaml").symlink_to(outside)
    write_tree(ARTIFACTS, tree)
    assert not (tree / "one/etc/a.yaml").is_symlink()
    assert outside.read_text() == "a\n"


@pytest.mark.parametrize("path", ["/etc/../../../x", "etc/a", "/", "/etc/./a\0"])
def test_no_path_leaves_the_tree(tmp_path: Path, path: str) -> None:
    with pytest.raises(RenderError, match="can't be a file on a host"):
        write_tree([Artifact("one", path, "x")], tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("host", ["..", "", "a/b"])
def test_no_host_name_leaves_the_tree(tmp_path: Path, host: str) -> None:
    with pytest.raises(RenderError):
        write_tree([Artifact(host, "/etc/a", "x")], tmp_path)
