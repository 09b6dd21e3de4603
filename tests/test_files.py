"""Writing: a reader sees the old file or the new one, whatever happens in between."""

import hashlib
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesynth_rt import files
from edgesynth_rt.errors import UserError

DEPLOY = Path(files.__file__).parents[1]
TEXT = st.text(st.characters(codec="utf-8"))
NUMBERS = st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


def test_sha256_is_the_published_one(tmp_path):
    file = tmp_path / "abc"
    file.write_bytes(b"abc")  # the first example of FIPS 180-2
    assert files.sha256_of(file) == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


def test_sha256_of_a_file_longer_than_one_block(tmp_path):
    data = bytes(range(256)) * 10_000
    (tmp_path / "long").write_bytes(data)
    assert files.sha256_of(tmp_path / "long") == hashlib.sha256(data).hexdigest()


@given(document=st.dictionaries(TEXT, JSON, max_size=5))
def test_json_comes_back_as_it_was(tmp_path_factory, document):
    file = tmp_path_factory.mktemp("json") / "document.json"
    files.write_json(file, document)
    assert files.read_json(file, "document") == document


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"", "not valid JSON"),
        (b'{"a": 1', "not valid JSON"),
        (b"\xff{}", "not valid JSON"),
        (b"[1, 2]", "does not hold a JSON object"),
        (b"3", "does not hold a JSON object"),
    ],
)
def test_bad_json_is_refused_by_its_name(tmp_path, data, part):
    file = tmp_path / "manifest.json"
    file.write_bytes(data)
    with pytest.raises(UserError, match=part) as caught:
        files.read_json(file, "manifest")
    assert f"manifest {file}" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_json_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"record .*gone\.json cannot be read: No such file"):
        files.read_json(tmp_path / "gone.json", "record")


def test_not_a_number_is_not_written(tmp_path):
    file = tmp_path / "record.json"
    files.write_json(file, {"latency_ms": 1.0})
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(file, {"latency_ms": float("nan")})
    assert files.read_json(file, "record") == {"latency_ms": 1.0}


def test_a_file_is_replaced_and_has_the_usual_permissions(tmp_path):
    file = tmp_path / "a"
    files.write_bytes(file, b"old")
    files.write_bytes(file, b"new")
    assert file.read_bytes() == b"new"
    plain = tmp_path / "plain"
    plain.touch()
    assert file.stat().st_mode == plain.stat().st_mode
    assert sorted(tmp_path.iterdir()) == [file, plain]


@pytest.mark.parametrize("error", [RuntimeError("bug"), KeyboardInterrupt()])
def test_an_interrupted_folder_leaves_the_old_one(tmp_path, error):
    folder = tmp_path / "net.edgenet"
    with files.new_folder(folder) as part:
        Path(part, "network.json").write_text("old")
    with pytest.raises(type(error)), files.new_folder(folder) as part:
        Path(part, "network.json").write_text("half of the n")
        raise error
    assert (folder / "network.json").read_text() == "old"
    assert list(tmp_path.iterdir()) == [folder]


def test_a_finished_folder_replaces_the_old_one_whole(tmp_path):
    folder = tmp_path / "net.edgenet"
    with files.new_folder(folder) as part:
        Path(part, "only-in-the-old-one").touch()
    with files.new_folder(folder) as part:
        Path(part, "only-in-the-new-one").touch()
    assert [file.name for file in folder.iterdir()] == ["only-in-the-new-one"]
    assert list(tmp_path.iterdir()) == [folder]
    plain = tmp_path / "plain"
    plain.mkdir()
    assert folder.stat().st_mode == plain.stat().st_mode


def test_kill_9_in_the_middle_leaves_the_old_folder(tmp_path):
    folder = tmp_path / "net.edgenet"
    with files.new_folder(folder) as part:
        Path(part, "network.json").write_text("old")
    program = (
        "import os, sys; from edgesynth_rt import files\n"
        "with files.new_folder(sys.argv[1]) as part:\n"
        "    open(os.path.join(part, 'network.json'), 'w').write('half')\n"
        "    print('halfway', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(DEPLOY)},
    ) as writer:
        assert writer.stdout.readline() == b"halfway\n"
        writer.send_signal(signal.SIGKILL)
    assert (folder / "network.json").read_text() == "old"


@contextmanager
def tiny_disk(folder: Path, *options: str):
    """A real file system of 64 KiB, mounted on `folder`."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a tiny disk to fill it")
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", ",".join(["size=64k", *options]), "none", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"this machine lets nobody mount: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_keeps_the_old_file(tmp_path):
    with tiny_disk(tmp_path / "disk") as disk:
        files.write_bytes(disk / "weights", b"old")
        with pytest.raises(UserError, match=r"disk full while writing .*weights; free some space"):
            files.write_bytes(disk / "weights", bytes(1 << 20))
        assert (disk / "weights").read_bytes() == b"old"
        assert [file.name for file in disk.iterdir()] == ["weights"]


def test_a_full_disk_keeps_the_old_folder(tmp_path):
    with tiny_disk(tmp_path / "disk") as disk:
        with files.new_folder(disk / "net") as part:
            Path(part, "weights").write_bytes(b"old")
        with (
            pytest.raises(UserError, match=r"disk full while writing .*net; free some space"),
            files.new_folder(disk / "net") as part,
        ):
            Path(part, "weights").write_bytes(bytes(1 << 20))
        assert (disk / "net" / "weights").read_bytes() == b"old"
        assert [file.name for file in disk.iterdir()] == ["net"]


def test_a_read_only_disk(tmp_path):
    with (
        tiny_disk(tmp_path / "disk", "ro") as disk,
        pytest.raises(UserError, match=r"report\.html cannot be written: Read-only.*--out"),
    ):
        files.write_bytes(disk / "report.html", b"page")


@contextmanager
def not_root():
    """Run as nobody where the tests run as root, whom no permission stops."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_forbidden_folder(tmp_path):
    folder = tmp_path / "theirs"
    folder.mkdir(mode=0o500)
    with (
        pytest.raises(UserError, match=r"theirs/a cannot be written: Permission denied.*--out"),
        not_root(),
    ):
        files.write_bytes(folder / "a", b"")
    with (
        pytest.raises(UserError, match=r"theirs/net cannot be written: Permission denied.*--out"),
        not_root(),
        files.new_folder(folder / "net"),
    ):
        pass


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("absent/a", "No such file or directory"),
        ("file/a", "Not a directory"),
        ("x" * 300 + "/a", "File name too long"),
    ],
)
def test_an_impossible_place(tmp_path, place, reason):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=f"cannot be written: {reason}"):
        files.write_bytes(tmp_path / place, b"data")


def test_a_folder_in_the_place_of_a_file(tmp_path):
    (tmp_path / "report.html").mkdir()
    with pytest.raises(UserError, match=r"report\.html cannot be written: Is a directory"):
        files.write_bytes(tmp_path / "report.html", b"page")
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
