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


def _pattern(text):
    """Compile a pattern with blanks for looks; UINT, INT and DEGREES stand for numbers."""
    text = text.replace("UINT", "[0-9]{1,9}").replace("INT", "-?[0-9]{1,9}")
    return re.compile(text.replace("DEGREES", r"-?[0-9]{1,9}(?:\.[0-9]{1,9})?"), re.VERBOSE)


_START = _pattern(
    r"""
    (?:([0-9]{2}-[0-9]{2}-[0-9]{4}[ ][0-9]{2}:[0-9]{2}:[0-9]{2})[ ])?
    (?<![A-Za-z_]) RAM[ ](UINT)/(UINT)MB (?!\w)
    (?:[ ]\(lfb[ ](UINT)x(UINT)(MB|kB)\))?
    """
)
_EARLIER = _pattern(  # a field that comes before RAM, and nothing that a user would put there
    r"""
    (?<!\S)(?:
        (?:SWAP|IRAM)[ ]UINT/ | (?:CPU|cpu)[ ]\[ | (?:EMC|GR3D)\S*[ ][0-9@]
      | (?:VDD|VIN|POM|NC)\S*[ ]INT | [^\s@]+@DEGREES C(?!\S)
    )
    """
)
_FIELD = _pattern(
    r"""
    (?<!\S)(?:
        (SWAP|IRAM|CPU|cpu|MTS|EDP)[ ]  # groups: the block's name and its body
        ( UINT/UINT[Mk]B (?:[ ]?\((?:lfb|cached)[ ][0-9A-Za-z]{1,30}\))?
        | \[[^\]\s]*\] (?:@INT)?
        | fg[ ]UINT%[ ]bg[ ]UINT%
        | limit[ ]UINT
        )
      | ((?!(?:fg|bg|limit)[ ])[A-Za-z][A-Za-z0-9_.:+-]*)  # or a name, and one of
        (?: @(DEGREES)C (?:/(DEGREES)C)?  # degrees, peak
          | [ ](INT)(?: (?:mW)?/(INT)(?:mW)? (?:/(INT)(?:mW)?)? | mW)  # power, average, peak
          | [ ](off | UINT%? | (?:UINT%)?@(?: INT | \[INT(?:,INT){0,63}\]))  # an engine's body
        )
    )(?!\S)
    """
)
_new = tuple.__new__  # makes a named tuple in half the time of calling its class
_GROUPS = _FIELD.groups + 1

_CORE = _pattern(r"(UINT)%(?:@(INT))?")
_BLOCKS = {  # the body of each, and the fields of a sample that it fills
    "SWAP": (
        _pattern(r"(UINT)/(UINT)MB(?:[ ]\(cached[ ](UINT)MB\))?"),
        ("swap_used_mb", "swap_total_mb", "swap_cached_mb"),
    ),
    "IRAM": (
        _pattern(r"(UINT)/(UINT)kB(?:[ ]?\(lfb[ ](UINT)kB\))?"),
        ("iram_used_kb", "iram_total_kb", "iram_lfb_kb"),
    ),
    "MTS": (_pattern(r"fg[ ](UINT)%[ ]bg[ ](UINT)%"), ("mts_fg_percent", "mts_bg_percent")),
    "EDP": (_pattern(r"limit[ ](UINT)"), ("edp_limit",)),
}


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
    prefix, rest = line[: start.start()], line[start.end() :]
    if prefix:
        earlier = _EARLIER.search(prefix)
        if earlier:
            prefix, rest = prefix[: earlier.start()], prefix[earlier.start() :] + " " + rest
    if "  " in rest or "\t" in rest:
        rest = " ".join(rest.split())
    stamp, used, total, blocks, size, unit = start.groups()
    sample = Sample(prefix, stamp)
    sample.ram_used_mb, sample.ram_total_mb = int(used), int(total)
    if blocks is not None:
        sample.lfb_blocks = int(blocks)
        sample.lfb_block_kb = int(size) * (1024 if unit == "MB" else 1)
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
            values = (name, float(celsius), hottest and float(hottest))
            temperatures.append(_new(Temperature, values))
        elif power is not None:
            values = (name, int(power), average and int(average), peak and int(peak))
            rails.append(_new(Rail, values))
        elif engine is not None:
            engines.append(_engine(name, engine))
        elif block in _BLOCKS:
            if not _fill_block(sample, block, body):
                left_over += [block] + body.split()
        elif not _fill_cores(sample, body, left_over):
            left_over += [block] + body.split()
    sample.engines = tuple(engines)
    sample.temperatures = tuple(temperatures)
    sample.rails = tuple(rails)


@lru_cache(maxsize=1024)  # few different texts make most of a log
def _engine(name, body):
    if body == "off":
        return Engine(name, None, (), True)
    load, at, clocks = body.partition("@")
    if not at and not load.endswith("%"):
        return Engine(name, None, (int(load),), False)
    clocks = tuple(int(clock) for clock in clocks.strip("[]").split(",")) if at else ()
    return Engine(name, int(load[:-1]) if load else None, clocks, False)


def _fill_block(sample, block, body):
    """Set the fields of a block that a line has once; False where it has a second one."""
    pattern, names = _BLOCKS[block]
    match = pattern.fullmatch(body)
    if not match or getattr(sample, names[0]) is not None:
        return False
    for name, text in zip(names, match.groups()):
        setattr(sample, name, text and int(text))
    return True


def _fill_cores(sample, body, left_over):
    texts, _, one_clock = body[1:].partition("]")  # the old grammar has one clock for all
    if sample.cores or not body.startswith("["):
        return False
    cores = []
    for text in texts.split(","):
        core = _core(text, one_clock)
        if core is _NOT_A_CORE:
            left_over.append(text)
        else:
            cores.append(core)
    sample.cores = tuple(cores)
    return True


_NOT_A_CORE = object()


@lru_cache(maxsize=4096)
def _core(text, one_clock):
    if text == "off":
        return None
    match = _CORE.fullmatch(text + one_clock)
    if not match:
        return _NOT_A_CORE
    load, clock = match.groups()
    clock = -1 if clock is None else int(clock)
    return Core(int(load), None if clock < 0 else clock)
