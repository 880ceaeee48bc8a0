"""Files and folders of the repository that `k0s.files` and `k0s.manifests` name."""

import pytest

from bootstrap.distros.k0s.files import manifest_artifacts
from bootstrap.distros.k0s.placed import placed_files
from bootstrap.errors import InventoryError

from .inventories import load


@pytest.fixture
def repository(tmp_path):
    for name in ("stacks/a/one.yaml", "stacks/b/two.yaml", "own/x.toml", "own/deep/y.toml", "own/deep/z.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"# {name}\n")
    return tmp_path


def placed(repository, text):
    return {
        file.path: file.content for file in placed_files(load(repository, f"k0s: {{files: [{text}]}}\n").host("two"))
    }


def refused(repository, text):
    with pytest.raises(InventoryError) as raised:
        load(repository, f"k0s: {{{text}}}\n")
    (problem,) = raised.value.problems
    return problem


@pytest.mark.parametrize(
    ("src", "paths"),
    [
        ("own/x.toml", ["/srv/x.toml"]),
        ("own", ["/srv/deep/y.toml", "/srv/deep/z.txt", "/srv/x.toml"]),
        ("own/", ["/srv/deep/y.toml", "/srv/deep/z.txt", "/srv/x.toml"]),
        ("own/**/*.toml", ["/srv/deep/y.toml", "/srv/x.toml"]),
        ("own/*/y.*", ["/srv/deep/y.toml"]),
    ],
)
def test_a_file_a_folder_and_a_pattern_keep_their_paths_below_the_fixed_part(repository, src, paths):
    assert list(placed(repository, f"{{src: '{src}', dstDir: /srv}}")) == paths


def test_the_text_of_a_file_is_laid_as_it_is(repository):
    assert placed(repository, "{src: own/x.toml, dst: /srv/a}") == {"/srv/a": "# own/x.toml\n"}


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ("{src: own/none.toml, dst: /srv/a}", "there is no file"),
        ("{src: 'own/*.none', dstDir: /srv}", "no file is found"),
        ("{src: ../secret, dst: /srv/a}", "not inside the repository"),
        ("{src: own, dst: /srv/a}", "is 3 files, and `dst` is one"),
    ],
)
def test_a_source_that_names_nothing_is_told_at_its_place(repository, item, said):
    problem = refused(repository, f"files: [{item}]")
    assert said in problem.message
    assert "src" in problem.source


def test_two_files_for_one_place_are_refused(repository):
    problem = refused(repository, "files: [{src: own/x.toml, dst: /srv/a}, {data: x, dst: /srv/a}]")
    assert "/srv/a of one is placed twice" in problem.message


def test_a_binary_file_is_refused(repository):
    (repository / "own/x.toml").write_bytes(b"\xff\xfe")
    assert "is not UTF-8" in refused(repository, "files: [{src: own/x.toml, dst: /srv/a}]").message


def test_stacks_are_for_controllers(repository):
    inventory = load(repository, "k0s: {manifests: stacks, dataDir: /srv/k0s}\n")
    assert [artifact.path for artifact in manifest_artifacts(inventory.host("one"))] == [
        "/srv/k0s/manifests/a/one.yaml",
        "/srv/k0s/manifests/b/two.yaml",
    ]
    assert manifest_artifacts(inventory.host("two")) == ()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("stacks/top.yaml", "is in no stack"),
        ("stacks/a/b/deep.yaml", "is in no stack"),
        ("stacks/a/x.yml", "passed over"),
    ],
)
def test_what_k0s_would_pass_over_is_refused(repository, name, said):
    (repository / name).parent.mkdir(exist_ok=True)
    (repository / name).write_text("a: 1\n")
    assert said in refused(repository, "manifests: stacks").message
