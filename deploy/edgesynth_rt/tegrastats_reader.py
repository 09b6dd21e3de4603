"""Samples from a tegrastats log, or from one line at a time of a running tegrastats (3.6)."""

from collections import Counter

from edgesynth_rt.errors import UserError
from edgesynth_rt.rails import UNCONNECTED
from edgesynth_rt.tegrastats import MAX_LINE_CHARS, parse_line, starts_of_lines

_BLOCK_BYTES = 1 << 16
_EXAMPLES = 3
_DISTINCT_UNKNOWN = 64


class Reader:
    """Turns pieces of a log into samples, and counts what it cannot use.

    lines           lines that are not blank, a last one without its newline included
    samples         lines that became a sample
    cut             lines dropped because their end is missing: a last one without a newline, one
                    without any rail after lines with rails, one that runs into the next
    foreign         lines that are not from tegrastats; `foreign_examples` are (number, text)
    unknown         how often each word outside of the grammar occurred (the samples keep them)
    """

    def __init__(self):
        self.lines = 0
        self.samples = 0
        self.cut = 0
        self.foreign = 0
        self.foreign_examples = []
        self.unknown = Counter()
        self._line_number = 0
        self._rest = b""
        self._had_rails = False

    def feed(self, data, arrival_s=None):
        """The samples that are complete with these further bytes, in order.

        `arrival_s` is the reader's clock when `data` arrived.
        """
        data = self._rest + data
        end = data.rfind(b"\n") + 1
        self._rest = data[end : end + MAX_LINE_CHARS + 1]  # more cannot become a line
        samples = []
        for line in data[:end].decode("utf-8", "replace").split("\n")[:-1]:
            self._line_number += 1
            sample = self._sample_of(line.rstrip("\r"))
            if sample is not None:
                sample.line_number = self._line_number
                sample.arrival_s = arrival_s
                samples.append(sample)
        return samples

    def close(self):
        """Tell that nothing follows: a line that has not ended by now is cut, and dropped."""
        if self._rest.strip():
            self.lines += 1
            self.cut += 1
        self._rest = b""

    def _sample_of(self, line):
        if not line or line.isspace():
            return None
        self.lines += 1
        if len(line) <= MAX_LINE_CHARS and line.count("MB (lfb ") > 1:
            line = self._last_of_glued(line)
        sample = parse_line(line)
        if sample is None:
            self.foreign += 1
            if len(self.foreign_examples) < _EXAMPLES:
                self.foreign_examples.append((self._line_number, line[:100]))
            return None
        if not sample.rails and self._had_rails:
            self.cut += 1
            return None
        self._had_rails = self._had_rails or bool(sample.rails)
        self.samples += 1
        for word in sample.unknown:
            if word in self.unknown or len(self.unknown) < _DISTINCT_UNKNOWN:
                self.unknown[word] += 1
        return sample

    def _last_of_glued(self, line):
        """A killed tegrastats leaves half a line, and the next one's first line follows it."""
        starts = starts_of_lines(line)
        self.lines += len(starts) - 1
        self.cut += len(starts) - 1
        return line[starts[-1] :] if starts else line


def samples_of_file(stream, reader):
    """Every sample of a binary file that is open for reading; counts are kept in `reader`."""
    for block in iter(lambda: stream.read(_BLOCK_BYTES), b""):
        for sample in reader.feed(block):
            yield sample
    reader.close()


def samples_of_log(path, reader):
    """Every sample of the log at `path`; counts are kept in `reader`.

    Raises UserError when the file cannot be read.
    """
    try:
        with open(str(path), "rb") as stream:
            for sample in samples_of_file(stream, reader):
                yield sample
    except OSError as error:
        raise UserError("tegrastats log %s cannot be read: %s" % (path, error.strerror))


def readings(line):
    """({rail: mW}, {name: value}) of one line, both empty when it is not from tegrastats.

    The values are what tells the state of the board: `gpu_mhz`, `gpu_load_percent`, `emc_mhz`
    (where printed, so mostly as root) and `celsius/ZONE`. A rail that comes twice is left out.
    """
    sample = parse_line(line)
    if sample is None:
        return {}, {}
    names = Counter(rail.name for rail in sample.rails)
    power_mw = {rail.name: rail.power_mw for rail in sample.rails if names[rail.name] == 1}
    power_mw.pop(UNCONNECTED, None)
    values = {"celsius/" + zone.name: zone.celsius for zone in sample.temperatures}
    gpu, emc = sample.gpu, sample.emc
    if gpu is not None and gpu.load_percent is not None:
        values["gpu_load_percent"] = gpu.load_percent
    for name, engine in (("gpu_mhz", gpu), ("emc_mhz", emc)):
        if engine is not None and engine.clocks_mhz:
            values[name] = max(engine.clocks_mhz)
    return power_mw, values
