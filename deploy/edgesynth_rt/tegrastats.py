"""Lines of NVIDIA's tegrastats, from L4T R21 to R39, as samples (pure; Python 3.6).

A line is `[MM-DD-YYYY HH:MM:SS] RAM used/totalMB (lfb NxZMB)` and then fields in any order, which
differ with the module, the release and the rights of the user:

    SWAP u/tMB (cached cMB)   IRAM u/tkB(lfb fkB)   MTS fg p% bg p%   EDP limit n
    CPU [p%@MHz,off,..]       cpu [p%,off,..]@MHz (up to R28.1)
    NAME p%  NAME p%@MHz  NAME @MHz  NAME p%@[MHz,..]  NAME MHz  NAME off        engines
    NAME@t.tC  NAME@t.tC/t.tC                                                    temperatures
    NAME mw/mw  NAME mWmW/mWmW  NAME mWmW/mWmW/mWmW                              power rails

Whatever else a line holds is kept in `Sample.unknown`. Sources: the Jetson Linux developer guides
(appendix "tegrastats utility") and lines of real boards from every release named above.
"""

import re
from collections import namedtuple
from functools import lru_cache

Core = namedtuple("Core", "load_percent clock_mhz")
"""One CPU core that is on. The clock is None where the line has none (or -1, on R21)."""

Engine = namedtuple("Engine", "name load_percent clocks_mhz off")
"""A clocked unit: GR3D_FREQ (the GPU), EMC_FREQ (memory), NVENC, APE, ... The load is None and
`clocks_mhz` empty where not printed; Orin and Thor print one clock for each GPU cluster. Without
root tegrastats prints EMC_FREQ as 0% and no clock: that is not a reading."""

Temperature = namedtuple("Temperature", "name celsius peak_celsius")
"""One thermal zone. R39 prints a second value, taken to be the highest so far; else None."""

Rail = namedtuple("Rail", "name power_mw average_mw peak_mw")
"""One supply rail: now, mean since tegrastats began (truncated), and from R39 a third value, taken
to be the peak. Names can occur twice in a line (NC), values can be negative (a gated rail)."""

POWERED_OFF_CELSIUS = -256.0
"""What the sensor of a block without power reads."""

MAX_LINE_CHARS = 16384
"""A longer line is not from tegrastats."""

_NUMBER = r"-?[0-9]{1,9}"
_DEGREES = r"-?[0-9]{1,9}(?:\.[0-9]{1,9})?"

_START = re.compile(
    r"(?:([0-9]{2}-[0-9]{2}-[0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2}) )?"
    r"(?<![A-Za-z_])(RAM [0-9]{1,9}/[0-9]{1,9}MB(?!\w))"
)
_EARLIER = re.compile(
    r"(?<!\S)(?:(?:SWAP|IRAM) [0-9]|CPU \[|cpu \[|(?:EMC|GR3D)\S* [0-9@]"
    r"|(?:VDD|VIN|POM|NC)\S* -?[0-9]|[^\s@]+@" + _DEGREES + r"C(?!\S))"
)
# Groups: block, its body, or name and then: degrees, peak; power, average, peak; engine's body.
_FIELD = re.compile(
    r"(?<!\S)(?:"
    r"(RAM|SWAP|IRAM|CPU|cpu|MTS|EDP) "
    r"([0-9]{1,9}/[0-9]{1,9}[Mk]B(?: ?\((?:lfb|cached) [0-9A-Za-z]{1,30}\))?"
    r"|\[[^\]\s]*\](?:@" + _NUMBER + r")?|fg [0-9]{1,9}% bg [0-9]{1,9}%|limit [0-9]{1,9})"
    r"|((?!(?:fg|bg|limit) )[A-Za-z][A-Za-z0-9_.:+-]*)(?:"
    r"@(" + _DEGREES + r")C(?:/(" + _DEGREES + r")C)?"
    r"| (" + _NUMBER + r")(?:(?:mW)?/(" + _NUMBER + r")(?:mW)?(?:/(" + _NUMBER + r")(?:mW)?)?|mW)"
    r"| (off|[0-9]{1,9}%?|(?:[0-9]{1,9}%)?@(?:"
    + _NUMBER
    + r"|\["
    + _NUMBER
    + r"(?:,"
    + _NUMBER
    + r"){0,63}\]))"
    r"))(?!\S)"
)
_GROUPS = _FIELD.groups + 1

_RAM = re.compile(r"([0-9]+)/([0-9]+)MB(?: \(lfb ([0-9]{1,9})x([0-9]{1,9})(MB|kB)\))?")
_SWAP = re.compile(r"([0-9]+)/([0-9]+)MB(?: \(cached ([0-9]{1,9})MB\))?")
_IRAM = re.compile(r"([0-9]+)/([0-9]+)kB(?: ?\(lfb ([0-9]{1,9})kB\))?")
_CPU = re.compile(r"\[(.*)\](?:@(.*))?")
_CORE = re.compile(r"([0-9]{1,9})%(?:@(" + _NUMBER + r"))?")
_MTS = re.compile(r"fg ([0-9]+)% bg ([0-9]+)%")
_EDP = re.compile(r"limit ([0-9]+)")


class Sample:
    """One line of tegrastats. A field that the line does not have is None, or an empty tuple.

    `stamp` is tegrastats' own local time (R34 and later, whole seconds), `prefix` what the user's
    shell put before the line. A reader adds `line_number` and, where the line was read live, its
    own clock as `arrival_s`.
    `cores` counts every core: a `Core`, or None for one that is off. `unknown` keeps, word by
    word, what is not in the grammar.
    """

    __slots__ = (
        "arrival_s",
        "cores",
        "edp_limit",
        "engines",
        "iram_lfb_kb",
        "iram_total_kb",
        "iram_used_kb",
        "lfb_block_kb",
        "lfb_blocks",
        "line_number",
        "mts_bg_percent",
        "mts_fg_percent",
        "prefix",
        "rails",
        "ram_total_mb",
        "ram_used_mb",
        "stamp",
        "swap_cached_mb",
        "swap_total_mb",
        "swap_used_mb",
        "temperatures",
        "unknown",
    )

    def __init__(self, prefix, stamp):
        self.prefix = prefix
        self.stamp = stamp
        self.line_number = self.arrival_s = None
        self.ram_used_mb = self.ram_total_mb = self.lfb_blocks = self.lfb_block_kb = None
        self.swap_used_mb = self.swap_total_mb = self.swap_cached_mb = None
        self.iram_used_kb = self.iram_total_kb = self.iram_lfb_kb = None
        self.mts_fg_percent = self.mts_bg_percent = self.edp_limit = None
        self.cores = self.engines = self.temperatures = self.rails = self.unknown = ()

    def engine(self, *names):
        """The first engine with one of `names`, or None."""
        for name in names:
            for engine in self.engines:
                if engine.name == name:
                    return engine
        return None

    @property
    def gpu(self):
        """The GPU's engine: GR3D_FREQ, up to R28.1 GR3D; None where the line has none."""
        return self.engine("GR3D_FREQ", "GR3D")

    @property
    def emc(self):
        """The memory controller's engine, None where absent or not a reading (without root)."""
        emc = self.engine("EMC_FREQ", "EMC")
        return emc if emc and emc.clocks_mhz else None


def parse_line(line):
    """The `Sample` of one line (text), or None when the line is not from tegrastats.

    Never raises on any text; takes time linear in its length.
    """
    if len(line) > MAX_LINE_CHARS:
        return None
    start = _START.search(line)
    if start is None:
        return None
    prefix, rest = line[: start.start()], line[start.start(2) :]
    if prefix:
        earlier = _EARLIER.search(prefix)
        if earlier:
            prefix, rest = prefix[: earlier.start()], prefix[earlier.start() :] + " " + rest
    if "  " in rest or "\t" in rest:
        rest = " ".join(rest.split())
    sample = Sample(prefix, start.group(1))
    parts = _FIELD.split(rest)
    left_over = "".join(parts[::_GROUPS]).split()
    _fill(sample, parts, left_over)
    sample.unknown = tuple(left_over)
    return sample


def starts_of_lines(text):
    """Where tegrastats lines begin in `text`, which should hold one and may hold glued ones."""
    return [match.start() for match in _START.finditer(text)]


def _fill(sample, parts, left_over):
    """Sort the fields of `parts`, as `_FIELD.split` returns them, into `sample`."""
    engines, temperatures, rails = [], [], []
    for block, body, name, celsius, hottest, power, average, peak, engine in zip(
        *(parts[group::_GROUPS] for group in range(1, _GROUPS))
    ):
        if celsius is not None:
            temperatures.append(_temperature(name, celsius, hottest))
        elif power is not None:
            rails.append(Rail(name, int(power), _integer(average), _integer(peak)))
        elif engine is not None:
            engines.append(_engine(name, engine))
        elif not _BLOCKS[block](sample, body, left_over):
            left_over += [block] + body.split()
    sample.engines = tuple(engines)
    sample.temperatures = tuple(temperatures)
    sample.rails = tuple(rails)


@lru_cache(maxsize=4096)  # sensors have steps: few different texts make most of a log
def _temperature(name, celsius, hottest):
    return Temperature(name, float(celsius), None if hottest is None else float(hottest))


@lru_cache(maxsize=1024)
def _engine(name, body):
    if body == "off":
        return Engine(name, None, (), True)
    load, at, clocks = body.partition("@")
    if not at and not load.endswith("%"):
        return Engine(name, None, (int(load),), False)
    clocks = tuple(int(clock) for clock in clocks.strip("[]").split(",")) if at else ()
    return Engine(name, int(load[:-1]) if load else None, clocks, False)


def _fill_ram(sample, body, left_over):
    match = _RAM.fullmatch(body)
    if not match or sample.ram_total_mb is not None:
        return False
    used, total, blocks, size, unit = match.groups()
    sample.ram_used_mb, sample.ram_total_mb = int(used), int(total)
    if blocks is not None:
        sample.lfb_blocks = int(blocks)
        sample.lfb_block_kb = int(size) * (1024 if unit == "MB" else 1)
    return True


def _fill_swap(sample, body, left_over):
    match = _SWAP.fullmatch(body)
    if not match or sample.swap_total_mb is not None:
        return False
    sample.swap_used_mb, sample.swap_total_mb, sample.swap_cached_mb = _integers(match)
    return True


def _fill_iram(sample, body, left_over):
    match = _IRAM.fullmatch(body)
    if not match or sample.iram_total_kb is not None:
        return False
    sample.iram_used_kb, sample.iram_total_kb, sample.iram_lfb_kb = _integers(match)
    return True


def _fill_mts(sample, body, left_over):
    match = _MTS.fullmatch(body)
    if not match or sample.mts_fg_percent is not None:
        return False
    sample.mts_fg_percent, sample.mts_bg_percent = _integers(match)
    return True


def _fill_edp(sample, body, left_over):
    match = _EDP.fullmatch(body)
    if not match or sample.edp_limit is not None:
        return False
    (sample.edp_limit,) = _integers(match)
    return True


def _fill_cores(sample, body, left_over):
    match = _CPU.fullmatch(body)
    if not match or sample.cores:
        return False
    texts, common = match.groups()
    suffix = "" if common is None else "@" + common
    cores = []
    for text in texts.split(","):
        core = _core(text, suffix)
        if core is _NOT_A_CORE:
            left_over.append(text)
        else:
            cores.append(core)
    sample.cores = tuple(cores)
    return True


_NOT_A_CORE = object()


@lru_cache(maxsize=4096)
def _core(text, suffix):
    if text == "off":
        return None
    match = _CORE.fullmatch(text + suffix)
    if not match:
        return _NOT_A_CORE
    load, clock = match.group(1), _integer(match.group(2))
    return Core(int(load), None if clock is None or clock < 0 else clock)


def _integer(text):
    return None if text is None else int(text)


def _integers(match):
    return [_integer(text) for text in match.groups()]


_BLOCKS = {
    "RAM": _fill_ram,
    "SWAP": _fill_swap,
    "IRAM": _fill_iram,
    "CPU": _fill_cores,
    "cpu": _fill_cores,
    "MTS": _fill_mts,
    "EDP": _fill_edp,
}
