"""Bundles that travel as one .tar file."""

import os
import tarfile

import pytest
from hand_made import EMPTY_GRAPH, refused, write_bundle

from edgesynth_rt.bundle import open_bundle


def pack(path, folder, inside=""):
    with tarfile.open(str(path), "w") as archive:
        archive.add(str(folder), arcname=inside or ".")
    return path


@pytest.mark.parametrize("inside", ["", "hand-made.bundle"])
def test_a_tar_file_opens_like_its_folder(tmp_path, inside):
    folder = write_bundle(tmp_path / "b")
    with open_bundle(str(pack(tmp_path / "b.tar", folder, inside))) as bundle:
        assert bundle.id == open_bundle(folder).id
        assert bundle.path.endswith("b.tar")
        unpacked = bundle._folder
        assert bundle.single_stage.read() == EMPTY_GRAPH
    assert not os.path.exists(unpacked)


def hostile_tar(path, add):
    with tarfile.open(str(path), "w") as archive:
        add(archive)
    return path


def _member(name, kind=tarfile.REGTYPE, link=""):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


@pytest.mark.parametrize(
    "member",
    [
        _member("../manifest.json"),
        _member("/tmp/manifest.json"),
        _member("a/../../b"),
        _member("link", tarfile.SYMTYPE, "/etc/passwd"),
        _member("hard", tarfile.LNKTYPE, "manifest.json"),
        _member("pipe", tarfile.FIFOTYPE),
        _member("device", tarfile.CHRTYPE),
    ],
)
def test_a_tar_that_leaves_its_folder_is_refused(tmp_path, member):
    path = hostile_tar(tmp_path / "b.tar", lambda archive: archive.addfile(member))
    assert "is a link, a device or leaves the folder" in refused(path)
    assert os.listdir(str(tmp_path)) == ["b.tar"]


def test_a_tar_of_too_many_files_is_refused(tmp_path):
    def add(archive):
        for index in range(1001):
            archive.addfile(_member("f%d" % index))

    assert "more than 1000 files" in refused(hostile_tar(tmp_path / "b.tar", add))


def test_a_tar_cut_anywhere_is_refused(tmp_path):
    whole = pack(tmp_path / "b.tar", write_bundle(tmp_path / "b")).read_bytes()
    for length in (0, 100, 700, 1300, 2000, 3000):
        cut = tmp_path / ("cut%d.tar" % length)
        cut.write_bytes(whole[:length])
        assert refused(cut)


def test_a_compressed_tar_is_refused(tmp_path):
    folder = write_bundle(tmp_path / "b")
    with tarfile.open(str(tmp_path / "b.tar"), "w:gz") as archive:
        archive.add(folder, arcname=".")
    assert "uncompressed tar" in refused(tmp_path / "b.tar")


def test_a_refused_tar_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = write_bundle(tmp_path / "b", lambda manifest: manifest.update(name=""))
    path = pack(tmp_path / "b.tar", folder)
    refused(path)
    assert sorted(os.listdir(str(tmp_path))) == ["b", "b.tar"]
