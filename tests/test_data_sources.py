"""`--data`: every kind, its splits, and one line for everything that can be wrong."""

from __future__ import annotations

import gzip
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from edgesynth.core.dataset import Dataset, boxed
from edgesynth.core.errors import MissingError, UserError
from edgesynth.data.fashion_mnist import DEBIAN_FOLDER
from edgesynth.data.source import Spec, kinds, load_dataset, parse_spec
from idx_files import idx_bytes, write_mnist

needs_fashion_mnist = pytest.mark.skipif(
    not DEBIAN_FOLDER.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed"
)


def all_images(dataset: Dataset) -> np.ndarray:
    splits = (dataset.train, dataset.validation, dataset.test)
    return np.concatenate([split.images(np.arange(len(split))) for split in splits])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("digits", ("digits", None, None, None)),
        ("fashion-mnist@12000", ("fashion-mnist", None, None, 12000)),
        ("mnist:/data/mnist", ("mnist", "/data/mnist", None, None)),
        ("imagefolder:a b,size=96@500", ("imagefolder", "a b", (96, 96), 500)),
        ("kitti:/k,size=1248x384", ("kitti", "/k", (1248, 384), None)),
        ("imagefolder:/data/x@12/", ("imagefolder", "/data/x@12/", None, None)),
        ("my.module:load@7", ("my.module", "load", None, 7)),
    ],
)
def test_the_documented_spellings(
    text: str, expected: tuple[str, str | None, tuple[int, int] | None, int | None]
) -> None:
    assert parse_spec(text) == Spec(text, *expected)


@pytest.mark.parametrize("text", ["", ":x", "digits@", "digits@-1", "digits@1.5", "digits,size=x"])
def test_a_misspelt_source_is_explained(text: str) -> None:
    with pytest.raises(UserError, match="is not a data set; write KIND"):
        load_dataset(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fashion-mnits", 'unknown data set "fashion-mnits"; did you mean "fashion-mnist"'),
        ("mnist", '"mnist" needs a folder: mnist:DIR'),
        ("mnist:/no/where", "/no/where is not a folder"),
        ("digits:here", "digits come with scikit-learn"),
        (
            "digits,size=9",
            "only fashion-mnist, mnist, imagefolder, .*, kitti, coco take a size",
        ),
        ("digits@99999", "asks for 99999 train images; give 1 to 1257"),
        ("no_such_module:load", r"no module named no_such_module.*built-in data sets: fashion-mn"),
    ],
)
def test_a_wrong_source_is_one_line_with_the_remedy(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        load_dataset(text)
    assert "\n" not in str(caught.value)


@needs_fashion_mnist
def test_fashion_mnist_is_whole_and_cut_as_documented() -> None:
    started = time.process_time()
    dataset = load_dataset("fashion-mnist")
    assert time.process_time() - started < 3  # usually 0.5 s
    assert dataset.input_shape == (1, 28, 28)
    assert dataset.classes[9] == "Ankle boot"
    assert [len(s) for s in (dataset.train, dataset.validation, dataset.test)] == [
        55000,
        5000,
        10000,
    ]
    for split, each in ((dataset.train, 5500), (dataset.validation, 500), (dataset.test, 1000)):
        assert np.bincount(split.labels).tolist() == [each] * 10
    # the well-known figures are 0.2860 and 0.3530, over all 60,000
    assert dataset.mean == pytest.approx((0.2860,), abs=2e-4)
    assert dataset.std == pytest.approx((0.3530,), abs=2e-4)


@needs_fashion_mnist
def test_a_subset_keeps_the_other_splits_and_is_a_prefix_of_train() -> None:
    whole, part = load_dataset("fashion-mnist"), load_dataset("fashion-mnist@200")
    assert (len(part.train), len(part.validation), len(part.test)) == (200, 5000, 10000)
    first = np.arange(200)
    assert np.array_equal(part.train.images(first), whole.train.images(first))
    assert np.bincount(part.train.labels).min() >= 18
    assert part.name == "fashion-mnist@200"


def test_mnist_splits_are_disjoint_complete_and_seeded(tmp_path: Path) -> None:
    write_mnist(tmp_path, train=40, test=10)
    spec = f"mnist:{tmp_path}"
    dataset = load_dataset(spec, seed=4, validation=10)
    numbers = all_images(dataset)[:, 0, 0, 0]  # every image is filled with its own number
    assert sorted(numbers) == list(range(50))
    assert sorted(numbers[-10:]) == list(range(40, 50))  # the official test part
    assert np.array_equal(dataset.train.labels, numbers[: len(dataset.train)] % 10)
    again = load_dataset(spec, seed=4, validation=10)
    other = load_dataset(spec, seed=5, validation=10)
    assert np.array_equal(all_images(dataset), all_images(again))
    assert not np.array_equal(all_images(dataset), all_images(other))
    assert np.array_equal(dataset.test.labels, other.test.labels)


def test_validation_may_be_a_fraction(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    assert len(load_dataset(f"mnist:{tmp_path}", validation=0.25).validation) == 10


def test_dotted_file_names_are_found(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    for file in tmp_path.iterdir():
        file.rename(tmp_path / file.name.replace("-idx", ".idx"))
    assert len(load_dataset(f"mnist:{tmp_path}", validation=10).train) == 30


def test_a_wrong_class_is_named_with_its_byte(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    labels = tmp_path / "t10k-labels-idx1-ubyte"
    data = bytearray(labels.read_bytes())
    data[8 + 3] = 17
    labels.write_bytes(bytes(data))
    with pytest.raises(UserError, match=r"t10k-labels-idx1-ubyte: byte 11 holds class 17, .*10 cl"):
        load_dataset(f"mnist:{tmp_path}")


def test_a_truncated_file_is_named_with_its_byte(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    images = tmp_path / "t10k-images-idx3-ubyte"
    images.write_bytes(images.read_bytes()[:100])
    with pytest.raises(UserError, match=r"t10k-images-idx3-ubyte: ends at byte 100, .* 216 bytes"):
        load_dataset(f"mnist:{tmp_path}")
    packed = tmp_path / "train-images-idx3-ubyte.gz"
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(
        UserError, match=r"train-images-idx3-ubyte.gz: gzip data is cut off at byte"
    ):
        load_dataset(f"mnist:{tmp_path}")


def test_files_that_do_not_belong_together_are_named(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    labels = tmp_path / "train-labels-idx1-ubyte.gz"
    labels.write_bytes(gzip.compress(idx_bytes(np.zeros(39, np.uint8))))
    with pytest.raises(UserError, match=r"40 images .*train-labels-idx1-ubyte.gz 39 labels"):
        load_dataset(f"mnist:{tmp_path}")
    labels.unlink()
    with pytest.raises(UserError, match="holds no train-labels-idx1-ubyte"):
        load_dataset(f"mnist:{tmp_path}")


def test_digits_fill_the_whole_range_of_bytes() -> None:
    dataset = load_dataset("digits")
    assert dataset.input_shape == (1, 8, 8)
    assert [len(s) for s in (dataset.train, dataset.validation, dataset.test)] == [1257, 180, 360]
    pixels = all_images(dataset)
    assert set(np.unique(pixels)) == {round(level * 255 / 16) for level in range(17)}
    other = load_dataset("digits@100", seed=1)
    assert len(other.train) == 100
    assert np.array_equal(other.test.labels, dataset.test.labels)
    assert not np.array_equal(other.validation.labels, dataset.validation.labels)


def test_digits_without_scikit_learn_say_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)  # what Python does for an absent package
    with pytest.raises(MissingError, match=r"pip install 'edgesynth\[digits\]'"):
        load_dataset("digits")


def cifar_record(label: int, red: int, green: int, blue: int) -> bytes:
    return bytes([label]) + b"".join(bytes([value]) * 1024 for value in (red, green, blue))


def write_cifar(folder: Path) -> None:
    folder.mkdir()
    for number in (1, 2):
        records = [cifar_record(i % 10, i, number, 200) for i in range(20)]
        (folder / f"data_batch_{number}.bin").write_bytes(b"".join(records))
    (folder / "test_batch.bin").write_bytes(cifar_record(9, 1, 2, 3) * 4)


def test_cifar10_keeps_planes_and_classes_apart(tmp_path: Path) -> None:
    write_cifar(tmp_path / "cifar-10-batches-bin")
    dataset = load_dataset(f"cifar10:{tmp_path}", validation=10)
    assert dataset.input_shape == (3, 32, 32)
    assert dataset.classes[9] == "truck"
    assert [len(s) for s in (dataset.train, dataset.validation, dataset.test)] == [30, 10, 4]
    train = dataset.train.images(np.arange(30))
    assert np.array_equal(train[:, 0, 5, 6] % 10, dataset.train.labels)  # red holds the number
    assert set(train[:, 1].ravel()) == {1, 2}  # green the batch
    assert set(train[:, 2].ravel()) == {200}
    assert dataset.std[2] == 1.0  # one value only
    assert dataset.test.images(np.arange(1))[0, :, 0, 0].tolist() == [1, 2, 3]


def test_cifar10_files_that_are_wrong_are_named_with_offset(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    write_cifar(folder)
    batch = folder / "data_batch_2.bin"
    whole = batch.read_bytes()
    batch.write_bytes(whole[:-1])
    with pytest.raises(UserError, match=r"data_batch_2.bin: ends at byte 61459, inside record 19"):
        load_dataset(f"cifar10:{folder}")
    batch.write_bytes(whole[:3073] + b"\x63" + whole[3074:])  # CIFAR-100 knows 99 classes
    with pytest.raises(UserError, match=r"data_batch_2.bin: byte 3073 holds class 99"):
        load_dataset(f"cifar10:{folder}")
    (folder / "test_batch.bin").unlink()
    with pytest.raises(UserError, match=r"holds no test_batch.bin; unpack cifar-10-binary.tar.gz"):
        load_dataset(f"cifar10:{folder}")


CUSTOM = """
import numpy as np
from edgesynth.core.dataset import ArraySplit, Boxes, Dataset

def split(n, dtype=np.uint8, top=1):
    return ArraySplit(np.arange(n * 4).reshape(n, 1, 2, 2).astype(dtype), np.arange(n) % (top + 1))

def dataset(**changes):
    parts = dict(name="x", input_shape=(1, 2, 2), classes=("a", "b"), mean=(0.5,), std=(0.5,),
                 train=split(20), validation=split(6), test=split(6))
    return Dataset(**{**parts, **changes})

def load(seed): return dataset(mean=(seed / 100,))
def plain(): return dataset()
def array(): return np.zeros(3)
def floats(): return dataset(test=split(6, np.float32))
def classes(): return dataset(validation=split(6, top=2))
def deviation(): return dataset(std=(0.0,))

class Boxed:
    def __init__(self, kind): self.kind = kind
    def __len__(self): return 6
    def images(self, indices): return np.zeros((len(indices), 1, 2, 2), np.uint8)
    def boxes(self, indices):
        corners = np.tile(np.array([0, 0, 1, 1], np.float32), (2, 1))
        return [Boxes(corners + i, np.array([0, self.kind]), np.arange(2) > 0) for i in indices]

def boxes(kind=-1):
    parts = dict(train=Boxed(kind), validation=Boxed(kind), test=Boxed(kind))
    return dataset(**parts, task="detection")
def unknown(): return boxes(2)
def unboxed(): return dataset(task="detection")
"""


@pytest.fixture
def custom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_own_data.py").write_text(CUSTOM)
    (tmp_path / "my_broken_data.py").write_text("import not_installed_anywhere\n")
    (tmp_path / "my_wrong_data.py").write_text("def load(:\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.mark.usefixtures("custom")
def test_a_factory_in_the_working_folder_gets_the_seed() -> None:
    dataset = load_dataset("my_own_data:load", seed=7)
    assert dataset.mean == (0.07,)
    assert dataset.name == "my_own_data:load"
    assert len(load_dataset("my_own_data:plain").train) == 20
    part = load_dataset("my_own_data:plain@10").train
    assert np.bincount(part.labels).tolist() == [5, 5]
    assert part.images(np.array([0])).shape == (1, 1, 2, 2)


@pytest.mark.usefixtures("custom")
def test_a_factory_may_give_data_for_detection() -> None:
    dataset = load_dataset("my_own_data:boxes@3")
    assert len(dataset.train) == 3
    chosen = {int(boxes.corners[0, 0]) for boxes in boxed(dataset.train).boxes(np.arange(3))}
    assert len(chosen) == 3
    assert dataset.train.images(np.arange(2)).shape == (2, 1, 2, 2)


@pytest.mark.usefixtures("custom")
@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("my_own_data:lode", "my_own_data has no function lode"),
        ("my_broken_data:load", "no module named not_installed_anywhere"),
        ("my_wrong_data:load", "my_wrong_data cannot be imported"),
        ("my_own_data:array", "returned ndarray, not an edgesynth.core.dataset.Dataset"),
        ("my_own_data:floats", r"test images are float32 \(1, 2, 2\); uint8 \(1, 2, 2\)"),
        ("my_own_data:classes", "validation has labels 0 to 2, but there are 2 classes"),
        ("my_own_data:deviation", "std above 0"),
        ("my_own_data:unknown", "train has an object of class 2, but there are 2 classes"),
        ("my_own_data:unboxed", "these data have no boxes"),
    ],
)
def test_a_factory_that_does_not_fit_is_one_line(function: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        load_dataset(function)
    assert "\n" not in str(caught.value)


def test_every_kind_is_documented_in_the_module() -> None:
    from edgesynth.data import source

    assert source.__doc__ is not None
    assert [kind for kind in kinds() if f"\n    {kind}" not in source.__doc__] == []
