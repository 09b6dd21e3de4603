"""Damages bytes at random, as files are damaged and as no one would think of.

    python tests/mutate.py tegrastats --seconds 600
    python tests/mutate.py manifest --seconds 600         # or bundle, tar, record, trtexec, hosts

feeds damaged tegrastats logs, or the damaged files of `mutate_files.py`, to all that reads them,
until the time is over or something fails; the number of the failing round is printed, and
`--first NUMBER` begins with it.
"""

import argparse
import random
import resource
import tempfile
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from mutate_files import SUBJECTS, Trial, mutated_json

ROOT = Path(__file__).parents[1]
_MOST_BYTES = 3 << 30
ODD = [
    b"\0",
    b"\n",
    b"\r\n",
    b"\xff",
    b"-",
    b"@",
    b"/",
    b"[",
    b"]",
    b"%",
    b"RAM 1/2MB ",
    b"9" * 400,
]


def mutated(random_: random.Random, data: bytes) -> bytes:
    """`data` with one to six damages: bits, bytes, pieces cut, doubled, moved, numbers changed."""
    damaged = bytearray(data)
    for _ in range(random_.randint(1, 6)):
        if not damaged:
            damaged += random_.choice(ODD)
        start = random_.randrange(len(damaged))
        end = min(len(damaged), start + random_.choice([1, 1, 2, 8, 40, 400]))
        piece = bytes(damaged[start:end])
        place = random_.randrange(len(damaged))
        kind = random_.randrange(8)
        if kind == 0:
            damaged[start] ^= 1 << random_.randrange(8)
        elif kind == 1:
            damaged[start] = random_.randrange(256)
        elif kind == 2:
            del damaged[start:end]
        elif kind == 3:
            damaged[place:place] = piece
        elif kind == 4:
            damaged[start:start] = random_.choice(ODD)
        elif kind == 5:
            del damaged[start:]
        elif kind == 6:
            damaged[start:end] = bytes(random_.choice(b"0123456789-./@% ") for _ in piece)
        else:
            damaged[start:end] = piece[::-1]
    return bytes(damaged)


def tegrastats_seeds() -> list[bytes]:
    """Beginnings of the composed logs, and of the real ones where they are."""
    folders = [ROOT / "tests" / "data" / "tegrastats", ROOT.parent / "shared" / "tegrastats"]
    files = [file for folder in folders for file in sorted(folder.glob("*-*.txt"))]
    return [b"".join(file.read_bytes().splitlines(keepends=True)[:6]) for file in files]


def read_log(data: bytes) -> int:
    """All that `edgesynth power` does with a log but drawing; returns the number of samples."""
    import json

    from edgesynth_rt.power_columns import Columns
    from edgesynth_rt.power_log import power_document
    from edgesynth_rt.tegrastats_reader import Reader

    reader, columns = Reader(), Columns()
    for at in range(0, len(data), 300):
        for sample in reader.feed(data[at : at + 300]):
            columns.add(sample)
    reader.close()
    assert reader.lines == reader.samples + reader.foreign + reader.cut
    if len(columns):
        json.dumps(power_document(columns, reader), allow_nan=False)
    return len(columns)


def rounds(seeds: list[bytes], first: int, count: int) -> Iterable[tuple[int, bytes]]:
    """(number, damaged data) of `count` rounds; the same number gives the same data."""
    for number in range(first, first + count):
        random_ = random.Random(number)
        yield number, mutated(random_, random_.choice(seeds))


def damaged_file(random_: random.Random, name: str, data: bytes) -> bytes:
    """`data` of the file `name`, mutated as JSON where it is, which a parser does not refuse."""
    if name.endswith(".json") and random_.random() < 0.7:
        return mutated_json(random_, data)
    return mutated(random_, data)


class Logs:
    """Rounds of damaged tegrastats logs."""

    def __init__(self, _: Path) -> None:
        self._seeds = tegrastats_seeds()

    def round(self, number: int) -> bool:
        """Whether anything could be read; raises whatever a reader raises."""
        ((_, data),) = rounds(self._seeds, number, 1)
        return read_log(data) > 0


class Files:
    """Rounds of damaged files of one subject of `mutate_files`."""

    def __init__(self, name: str, folder: Path) -> None:
        self._trial = Trial(SUBJECTS[name], folder)

    def round(self, number: int) -> bool:
        """Whether the files were taken; raises what `Trial.round` raises."""
        random_ = random.Random(number)
        return self._trial.round(partial(damaged_file, random_), random_)


def main() -> None:
    """Rounds until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["tegrastats", *SUBJECTS])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--first", type=int, default=0, help="number of the first round")
    options = parser.parse_args()
    count, taken, longest_s = 0, 0, 0.0
    end = time.monotonic() + options.seconds
    # a reader that asks for gigabytes because a number in a small file says so has failed
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        trials = Logs(place) if options.what == "tegrastats" else Files(options.what, place)
        while time.monotonic() < end:
            before_s = time.process_time()
            try:
                taken += trials.round(options.first + count)
            except BaseException:
                print(f"round {options.first + count} of {options.what} failed")
                raise
            longest_s = max(longest_s, time.process_time() - before_s)
            count += 1
    print(f"{count} rounds of {options.what}, {taken} taken, longest {longest_s:.3f} s")


if __name__ == "__main__":
    main()
