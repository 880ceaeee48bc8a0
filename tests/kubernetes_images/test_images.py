"""The writer of image archives: what container runtimes read in it, and that equal images give equal bytes."""

import hashlib
import io
import json
import tarfile

import pytest

from bootstrap.images import Blob, File, Folder, Image, Symlink, make_layer, write_archive

SHARED = make_layer({"usr/bin/all": File(b"program"), "usr/bin/one": Symlink("all"), "tmp": Folder(0o1777)})
OTHER = make_layer({"etc/name": File(b"x", 0o600)})
ONE = Image("registry.example/team/one:1.2", ("/usr/bin/one", "--fast"), (SHARED,))
TWO = Image("registry.example/two:v3", ("/usr/bin/all",), (OTHER, SHARED))


def archive(*images: Image) -> bytes:
    stream = io.BytesIO()
    write_archive(images, "arm64", stream)
    return stream.getvalue()


def unpack(content: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}


def members(layer: Blob) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(layer.content)) as tar:
        return {member.name: member for member in tar}


def follow(files: dict[str, bytes], descriptor: dict) -> bytes:
    algorithm, digest = descriptor["digest"].split(":")
    content = files[f"blobs/{algorithm}/{digest}"]
    assert len(content) == descriptor["size"]
    return content


def test_every_blob_is_called_by_its_digest():
    blobs = {name: content for name, content in unpack(archive(ONE, TWO)).items() if name.startswith("blobs/")}
    assert len(blobs) == 6  # two layers, two configurations, two manifests
    for name, content in blobs.items():
        assert name == f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"


def test_the_layout_names_its_version():
    assert json.loads(unpack(archive(ONE))["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}


def test_the_index_gives_each_image_its_full_name_its_tag_and_its_platform():
    index = json.loads(unpack(archive(TWO, ONE))["index.json"])
    assert [image["annotations"] for image in index["manifests"]] == [
        {"io.containerd.image.name": "registry.example/team/one:1.2", "org.opencontainers.image.ref.name": "1.2"},
        {"io.containerd.image.name": "registry.example/two:v3", "org.opencontainers.image.ref.name": "v3"},
    ]
    assert {json.dumps(image["platform"]) for image in index["manifests"]} == {
        '{"architecture": "arm64", "os": "linux"}'
    }


def test_from_the_index_one_gets_to_the_program_and_to_the_layers():
    files = unpack(archive(TWO))
    (reference,) = json.loads(files["index.json"])["manifests"]
    manifest = json.loads(follow(files, reference))
    config = json.loads(follow(files, manifest["config"]))
    assert config["config"]["Entrypoint"] == ["/usr/bin/all"]
    assert (config["architecture"], config["os"]) == ("arm64", "linux")
    assert config["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifest["layers"]]
    assert [follow(files, layer) for layer in manifest["layers"]] == [OTHER.content, SHARED.content]


def test_media_types_are_those_of_the_specification():
    files = unpack(archive(ONE))
    index = json.loads(files["index.json"])
    manifest = json.loads(follow(files, index["manifests"][0]))
    kinds = [index, index["manifests"][0], manifest, manifest["config"], manifest["layers"][0]]
    assert [kind["mediaType"].removeprefix("application/vnd.oci.image.") for kind in kinds] == [
        *("index.v1+json", "manifest.v1+json", "manifest.v1+json", "config.v1+json", "layer.v1.tar"),
    ]


def test_a_program_is_found_without_a_path():
    files = unpack(archive(ONE))
    manifest = json.loads(follow(files, json.loads(files["index.json"])["manifests"][0]))
    (path,) = json.loads(follow(files, manifest["config"]))["config"]["Env"]
    assert {"/usr/local/bin", "/usr/sbin", "/bin"} <= set(path.removeprefix("PATH=").split(":"))


def test_the_same_images_in_another_order_give_the_same_bytes():
    assert archive(ONE, TWO) == archive(TWO, ONE)


def test_the_same_entries_in_another_order_give_the_same_layer():
    entries = {"b/c": File(b"1"), "a": Symlink("b"), "b/" + "long" * 60: File(b"2")}
    assert make_layer(entries) == make_layer(dict(reversed(entries.items())))


def test_a_layer_holds_what_was_given_and_the_folders_above():
    found = members(SHARED)
    assert list(found) == ["tmp", "usr", "usr/bin", "usr/bin/all", "usr/bin/one"]
    assert [oct(found[name].mode) for name in ("tmp", "usr", "usr/bin/all")] == ["0o1777", "0o755", "0o755"]
    assert found["usr/bin"].isdir()
    assert found["usr/bin/one"].linkname == "all"
    assert members(OTHER)["etc/name"].mode == 0o600


def test_nothing_of_this_machine_gets_into_a_layer():
    for member in members(SHARED).values():
        assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (0, 0, 0, "", "")


def test_a_long_path_survives():
    path = "/".join(["folder" * 10] * 5)
    assert path in members(make_layer({path: File(b"")}))


def test_two_images_of_one_name_are_refused():
    with pytest.raises(ValueError, match="same name"):
        archive(ONE, TWO, ONE)
