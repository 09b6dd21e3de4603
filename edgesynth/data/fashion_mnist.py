"""Fashion-MNIST (arXiv 1708.07747): 70,000 grey images of 28 x 28 pixels in ten classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgesynth.core.errors import MissingError
from edgesynth.core.progress import Progress, Silent
from edgesynth.data.fetch import RemoteFile, cache_folder, fetch

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")

ADDRESSES = (
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
)
"""The two places that the authors' README names; plain http is safe here, contents are hashed."""

# The authors publish MD5 sums of the packed files. Debian's files are those without the name in the
# gzip header (a test restores it and finds the MD5 sums), so what is hashed here is the contents.
FILES = (
    RemoteFile(
        "train-images-idx3-ubyte.gz",
        26_421_880,
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    ),
    RemoteFile(
        "train-labels-idx1-ubyte.gz",
        29_515,
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ),
    RemoteFile(
        "t10k-images-idx3-ubyte.gz",
        4_422_102,
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    ),
    RemoteFile(
        "t10k-labels-idx1-ubyte.gz",
        5_148,
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
)


def find_fashion_mnist(
    *,
    system: Path = DEBIAN_FOLDER,
    cache: Path | None = None,
    addresses: Sequence[str] = ADDRESSES,
    progress: Progress | None = None,
    timeout_s: float = 20.0,
) -> Path:
    """The folder with the four files: Debian's, else the cache, fetched once when it is empty.

    Raises MissingError naming the three ways to get the data when it is absent and offline.
    """
    if all((system / file.name).is_file() for file in FILES):
        return system
    folder = (cache or cache_folder()) / "fashion-mnist"
    try:
        for file in FILES:
            fetch(file, folder, addresses, progress=progress or Silent(), timeout_s=timeout_s)
    except MissingError as error:
        raise MissingError(
            "Fashion-MNIST is not on this machine; either run `apt-get install "
            "dataset-fashion-mnist`, or give a folder with its four files as "
            f"`fashion-mnist:DIR`, or connect once to the internet: {error}"
        ) from None
    return folder
