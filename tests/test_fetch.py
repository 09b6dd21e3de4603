"""Fetching Fashion-MNIST: from a real HTTP server on loopback, verified, kept; and offline."""

from __future__ import annotations

import gzip
import hashlib
import struct
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from edgesynth.core.errors import MissingError, UserError
from edgesynth.core.progress import Silent, Task
from edgesynth.data.fashion_mnist import DEBIAN_FOLDER, FILES, find_fashion_mnist
from edgesynth.data.fetch import RemoteFile, cache_folder, fetch
from edgesynth.data.mnist import load_mnist

NOBODY = "http://127.0.0.1:9"  # the discard port: nothing listens there
CONTENTS = bytes(range(256)) * 40


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves a folder; below /cut/ it promises the whole file and sends half of it."""

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        if not self.path.startswith("/cut/"):
            super().do_GET()
            return
        data = Path(self.translate_path(self.path.removeprefix("/cut"))).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2])


@contextmanager
def served(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "remote"
    (folder / "good").mkdir(parents=True)
    (folder / "bad").mkdir()
    (folder / "torn").mkdir()
    (folder / "good" / "f.gz").write_bytes(gzip.compress(CONTENTS))
    (folder / "bad" / "f.gz").write_bytes(gzip.compress(CONTENTS[:-1] + b"!"))
    (folder / "torn" / "f.gz").write_bytes(gzip.compress(CONTENTS)[:-9])
    with served(folder) as address:
        yield address


FILE = RemoteFile("f.gz", len(gzip.compress(CONTENTS)), hashlib.sha256(CONTENTS).hexdigest())


class Counter(Silent):
    """Progress that adds up what it is told."""

    def __init__(self) -> None:
        self.done = 0

    def track(self, label: str, total: int) -> AbstractContextManager[Task]:
        counter = self

        class Counting:
            def advance(self, steps: int = 1, note: str = "") -> None:
                counter.done += steps

        @contextmanager
        def context() -> Iterator[Task]:
            yield Counting()

        return context()


def test_a_file_is_fetched_once_and_kept(remote: str, tmp_path: Path) -> None:
    progress = Counter()
    found = fetch(FILE, tmp_path / "cache" / "x", [f"{remote}/good/"], progress=progress)
    assert gzip.decompress(found.read_bytes()) == CONTENTS
    assert progress.done == found.stat().st_size
    assert fetch(FILE, tmp_path / "cache" / "x", [NOBODY], progress=Silent()) == found


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("bad", "SHA-256 of the contents is .* not"),
        ("torn", "gzip data is cut off at byte"),
        ("cut/good", r"connection ended at byte \d+ of \d+"),
        ("absent", "answers 404 File not found"),
    ],
)
def test_what_is_not_intact_is_refused_and_not_kept(
    remote: str, tmp_path: Path, where: str, reason: str
) -> None:
    with pytest.raises(MissingError, match=f"f.gz cannot be fetched .*{where}.*{reason}"):
        fetch(FILE, tmp_path / "cache", [f"{remote}/{where}"], progress=Silent())
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_next_address_is_tried(remote: str, tmp_path: Path) -> None:
    addresses = [NOBODY, f"{remote}/bad", f"{remote}/good"]
    assert fetch(FILE, tmp_path / "cache", addresses, progress=Silent()).is_file()


def test_more_than_was_published_is_not_read_on(remote: str, tmp_path: Path) -> None:
    small = RemoteFile("f.gz", 100, FILE.sha256)
    with pytest.raises(MissingError, match="sends more than 200 bytes"):
        fetch(small, tmp_path / "cache", [f"{remote}/good"], progress=Silent())


def test_only_the_web_is_fetched_from(tmp_path: Path) -> None:
    (tmp_path / "f.gz").write_bytes(gzip.compress(CONTENTS))
    with pytest.raises(MissingError, match="only http and https"):
        fetch(FILE, tmp_path / "cache", [tmp_path.as_uri()], progress=Silent())


def test_a_cache_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"cache .*file.x cannot be made"):
        fetch(FILE, tmp_path / "file" / "x", [NOBODY], progress=Silent())


def test_offline_and_absent_names_the_three_ways(tmp_path: Path) -> None:
    with pytest.raises(MissingError) as caught:
        find_fashion_mnist(
            system=tmp_path / "no-package", cache=tmp_path / "cache", addresses=[NOBODY]
        )
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.exit_code == 4
    for way in ("apt-get install dataset-fashion-mnist", "fashion-mnist:DIR", "internet"):
        assert way in message


@pytest.mark.skipif(not DEBIAN_FOLDER.is_dir(), reason="dataset-fashion-mnist is not installed")
def test_the_checksums_are_those_of_debians_files(tmp_path: Path) -> None:
    with served(DEBIAN_FOLDER) as address:
        folder = find_fashion_mnist(
            system=tmp_path / "no-package", cache=tmp_path / "cache", addresses=[address]
        )
    assert sorted(file.name for file in folder.iterdir()) == sorted(file.name for file in FILES)
    assert len(load_mnist(folder, name="x").train) == 55000


OFFICIAL = {  # MD5 in the authors' README, time stamp in the gzip header
    "train-images-idx3-ubyte": ("8d4fb7e6c68d591d4c3dfef9ec88bf0d", 1504176606),
    "train-labels-idx1-ubyte": ("25c81989df183df01b3e8a0aad5dffbe", 1504176606),
    "t10k-images-idx3-ubyte": ("bef4ecab320f06d8554ea6380940ec79", 1504176627),
    "t10k-labels-idx1-ubyte": ("bb300cfdad3c16e7a12a480ee83cd310", 1504176627),
}


@pytest.mark.skipif(not DEBIAN_FOLDER.is_dir(), reason="dataset-fashion-mnist is not installed")
@pytest.mark.parametrize("name", OFFICIAL)
def test_debians_files_are_the_official_ones_without_a_name_in_the_header(name: str) -> None:
    md5, stamp = OFFICIAL[name]
    packed = (DEBIAN_FOLDER / f"{name}.gz").read_bytes()
    header = b"\x1f\x8b\x08\x08" + struct.pack("<I", stamp) + b"\x00\x03" + name.encode() + b"\0"
    assert packed[3] == 0  # no name
    assert hashlib.md5(header + packed[10:]).hexdigest() == md5
    (file,) = [each for each in FILES if each.name == f"{name}.gz"]
    assert file.packed_bytes == len(header) + len(packed) - 10


def test_the_cache_is_where_edgesynth_home_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGESYNTH_HOME", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("EDGESYNTH_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_folder() == Path("/home/someone/.cache/edgesynth")
