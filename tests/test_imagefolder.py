"""Image folders: real PNG and JPEG files, their splits, and damaged files named."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgesynth.core.errors import UserError
from edgesynth.data.imagefolder import read_image
from edgesynth.data.source import load_dataset

COLOURS = {"blue": (0, 0, 250), "green": (0, 240, 0), "red": (230, 0, 0)}


def save(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (12, 9)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def write_classes(folder: Path, count: int) -> None:
    for name, colour in COLOURS.items():
        for number in range(count):
            save(folder / name / f"{number:02}.png", colour)


def test_class_folders_are_cut_by_seed_with_every_class_in_every_split(tmp_path: Path) -> None:
    write_classes(tmp_path, 20)
    dataset = load_dataset(f"imagefolder:{tmp_path},size=8", seed=1)
    assert dataset.input_shape == (3, 8, 8)
    assert dataset.classes == ("blue", "green", "red")
    assert [len(s) for s in (dataset.train, dataset.validation, dataset.test)] == [49, 5, 6]
    assert np.bincount(dataset.test.labels).tolist() == [2, 2, 2]
    paths = [p for s in (dataset.train, dataset.validation, dataset.test) for p in s.paths]
    assert len(set(paths)) == 60
    other = load_dataset(f"imagefolder:{tmp_path},size=8", seed=2)
    assert other.test.paths == dataset.test.paths  # never depends on the seed
    assert other.validation.paths != dataset.validation.paths


def test_pixels_classes_and_statistics_belong_together(tmp_path: Path) -> None:
    write_classes(tmp_path, 10)
    dataset = load_dataset(f"imagefolder:{tmp_path},size=8@9")
    assert len(dataset.train) == 9
    images = dataset.train.images(np.arange(9))
    colours = np.array(list(COLOURS.values()))
    assert np.array_equal(images[:, :, 3, 3], colours[dataset.train.labels])
    assert dataset.mean == pytest.approx((images / 255).mean((0, 2, 3)))
    assert dataset.std == pytest.approx((images / 255).std((0, 2, 3)))


def test_official_parts_are_kept_apart(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", 4)
    write_classes(tmp_path / "val", 2)
    write_classes(tmp_path / "test", 1)
    dataset = load_dataset(f"imagefolder:{tmp_path},size=8")
    assert [len(s) for s in (dataset.train, dataset.validation, dataset.test)] == [12, 6, 3]
    assert {path.parts[-3] for path in dataset.validation.paths} == {"val"}
    assert {path.parts[-3] for path in dataset.test.paths} == {"test"}


def test_a_missing_test_part_is_cut_from_train(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", 10)
    write_classes(tmp_path / "validation", 2)
    dataset = load_dataset(f"imagefolder:{tmp_path},size=8")
    assert [len(s) for s in (dataset.train, dataset.validation, dataset.test)] == [27, 6, 3]


def test_a_class_in_one_part_only_is_named(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", 2)
    write_classes(tmp_path / "val", 2)
    save(tmp_path / "val" / "violet" / "1.png", (1, 2, 3))
    with pytest.raises(UserError, match='class "violet" is in val/ but not in train/'):
        load_dataset(f"imagefolder:{tmp_path}")


def test_the_middle_of_a_picture_is_kept(tmp_path: Path) -> None:
    wide = np.zeros((10, 40, 3), np.uint8)
    wide[:, 15:25] = 200  # the middle square of a picture four times as wide as high
    Image.fromarray(wide).save(tmp_path / "wide.png")
    assert read_image(tmp_path / "wide.png", 10).shape == (3, 10, 10)
    assert (read_image(tmp_path / "wide.png", 10) == 200).all()
    Image.fromarray(wide.transpose(1, 0, 2)).save(tmp_path / "high.png")
    assert (read_image(tmp_path / "high.png", 10) == 200).all()
    assert read_image(tmp_path / "wide.png", 20)[:, :, 10].min() >= 199  # enlarged


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK", "YCbCr"])
def test_every_8_bit_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    file = tmp_path / ("x.jpg" if mode in ("CMYK", "YCbCr") else "x.png")
    Image.new("L", (9, 9), 255).convert(mode).save(file)
    image = read_image(file, 9)
    assert image.dtype == np.uint8
    assert image.min() >= 250


def test_more_than_8_bits_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((9, 9), 40000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(UserError, match=r"deep.png cannot be read \(mode I;16, more than 8 bits"):
        read_image(tmp_path / "deep.png", 9)


@pytest.mark.parametrize("kind", ["png", "jpeg", "bmp", "webp", "tiff", "ppm"])
def test_a_file_cut_anywhere_is_named_or_an_image(tmp_path: Path, kind: str) -> None:
    random = np.random.default_rng(0)
    whole = io.BytesIO()
    Image.fromarray(random.integers(0, 256, (16, 16, 3), np.uint8)).save(whole, kind)
    data = whole.getvalue()
    file = tmp_path / f"cut.{kind}"
    for cut in range(0, len(data), max(1, len(data) // 60)):
        file.write_bytes(data[:cut])
        try:
            assert read_image(file, 8).shape == (3, 8, 8)
        except UserError as error:
            assert str(file) in str(error)
            assert "\n" not in str(error)


def test_a_damaged_image_is_named_when_it_is_read(tmp_path: Path) -> None:
    write_classes(tmp_path, 4)
    (tmp_path / "red" / "02.png").write_bytes(b"this is no image")
    with pytest.raises(UserError, match=r"red/02.png cannot be read .*replace or remove it"):
        dataset = load_dataset(f"imagefolder:{tmp_path},size=8")
        for split in (dataset.train, dataset.validation, dataset.test):
            split.images(np.arange(len(split)))


def test_a_picture_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    Image.new("1", (20000, 10000)).save(tmp_path / "bomb.png")  # 25 KB on disk
    with pytest.raises(UserError, match=r"bomb.png cannot be read .*exceeds limit"):
        read_image(tmp_path / "bomb.png", 8)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "has no sub-folders; put images into one per class"),
        (lambda folder: (folder / "cat").mkdir(), "cat holds no image .*remove the folder"),
        (lambda folder: save(folder / "cat" / "1.png", (1, 1, 1)), "test of 0.1 leaves 0 of 1 im"),
    ],
)
def test_a_folder_without_images_is_explained(tmp_path: Path, make, message: str) -> None:
    make(tmp_path)
    with pytest.raises(UserError, match=message):
        load_dataset(f"imagefolder:{tmp_path}")


def test_a_size_out_of_range_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="size=4 is out of range; give 8 to 1024"):
        load_dataset(f"imagefolder:{tmp_path},size=4")
