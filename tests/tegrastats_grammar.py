"""tegrastats lines made from what they should mean: the grammar written down once more, to print.

A meaning is a dict with the fields of `edgesynth_rt.tegrastats.Sample` that a line has. `pieces`
turns it into the line's fields; `lines` is a hypothesis strategy of meanings and their lines.
"""

import json
from datetime import datetime

from hypothesis import strategies as st

from edgesynth_rt.tegrastats import Sample

NOT_IN_A_LINE = ("line_number", "arrival_s")


def read_back(sample: Sample) -> dict:
    """The fields that `sample` has, as JSON has them (lists, no tuples)."""
    fields = {name: getattr(sample, name) for name in Sample.__slots__ if name not in NOT_IN_A_LINE}
    plain = json.loads(json.dumps(fields))
    return {name: value for name, value in plain.items() if value not in (None, [], "")}


def pieces(
    meaning: dict, unit: str = "", one_clock: bool = False, lists: bool = False
) -> dict[str, list[str]]:
    """Text of each kind of field.

    `unit` is "" (to R32) or "mW"; `one_clock` writes old `cpu` fields; `lists` puts brackets
    around a single clock too (R35).
    """
    m = meaning
    out: dict[str, list[str]] = {"ram": [f"RAM {m['ram_used_mb']}/{m['ram_total_mb']}MB"]}
    if "lfb_blocks" in m:
        kb = m["lfb_block_kb"]
        size = f"{kb // 1024}MB" if kb % 1024 == 0 else f"{kb}kB"
        out["ram"][0] += f" (lfb {m['lfb_blocks']}x{size})"
    if "swap_total_mb" in m:
        used, total, cached = (m[f"swap_{name}_mb"] for name in ("used", "total", "cached"))
        out["swap"] = [f"SWAP {used}/{total}MB (cached {cached}MB)"]
    if "iram_total_kb" in m:
        used, total, free = (m[f"iram_{name}_kb"] for name in ("used", "total", "lfb"))
        out["iram"] = [f"IRAM {used}/{total}kB(lfb {free}kB)"]
    if "cores" in m:
        out["cpu"] = [cpu(m["cores"], one_clock)]
    if "mts_fg_percent" in m:
        out["mts"] = [f"MTS fg {m['mts_fg_percent']}% bg {m['mts_bg_percent']}%"]
    if "edp_limit" in m:
        out["edp"] = [f"EDP limit {m['edp_limit']}"]
    out["engines"] = [engine(*fields, lists) for fields in m.get("engines", [])]
    out["temperatures"] = [temperature(*fields) for fields in m.get("temperatures", [])]
    out["rails"] = [rail(*fields, unit) for fields in m.get("rails", [])]
    out["unknown"] = list(m.get("unknown", []))
    return out


def cpu(cores, one_clock: bool) -> str:
    if one_clock:
        clock = next((core[1] for core in cores if core), None)
        texts = ["off" if core is None else f"{core[0]}%" for core in cores]
        return f"cpu [{','.join(texts)}]@{-1 if clock is None else clock}"
    texts = [
        "off" if core is None else "@".join([f"{core[0]}%", *clock_of(core)]) for core in cores
    ]
    return f"CPU [{','.join(texts)}]"


def clock_of(core) -> list[str]:
    return [] if core[1] is None else [str(core[1])]


def engine(name, load, clocks, off, lists: bool) -> str:
    if off:
        return f"{name} off"
    if load is None and len(clocks) == 1 and not name.startswith(WITH_AT):
        return f"{name} {clocks[0]}"
    text = ",".join(str(clock) for clock in clocks)
    at = "" if not clocks else f"@[{text}]" if lists or len(clocks) > 1 else f"@{text}"
    return f"{name} {'' if load is None else f'{load}%'}{at}"


def temperature(name, celsius, hottest) -> str:
    first = f"{name}@{degrees(celsius)}C"
    return first if hottest is None else f"{first}/{degrees(hottest)}C"


def degrees(celsius: float) -> str:
    """As tegrastats prints it: 34C, 34.5C, 43.906C."""
    return f"{celsius:.3f}".rstrip("0").rstrip(".")


def rail(name, power, average, peak, unit: str) -> str:
    values = [f"{value}{unit}" for value in (power, average, peak) if value is not None]
    return f"{name} {'/'.join(values)}"


def in_order(meaning: dict, order: str, **dialect) -> str:
    """A line with its kinds of fields in the given `order`."""
    found = pieces(meaning, **dialect)
    fields = [text for kind in order.split() for text in found.pop(kind, [])]
    assert not any(found.values()), found
    return meaning.get("prefix", "") + " ".join([*stamp_of(meaning), *fields])


def stamp_of(meaning: dict) -> list[str]:
    return [meaning["stamp"]] if "stamp" in meaning else []


WITH_AT = ("EMC", "GR3D", "NVDLA")  # they print their clock behind an @ without a load too
ENGINES = """EMC EMC_FREQ GR3D GR3D_FREQ GR3D2_FREQ VIC_FREQ VIC APE NVENC NVENC0 NVDEC MSENC VDE
AVP NVJPG1 OFA NVDLA0 NVDLA0_FREQ PVA0_FREQ""".split()
ZONES = "CPU GPU SOC CV0 PMIC AUX AO thermal Tboard Tdiode soc012 tj PLL BCPU iwlwifi".split()
RAILS = """VDD_IN VDD_CPU VDD_GPU POM_5V_IN VDD_SYS_GPU VDD_4V0_WIFI GPU CPU SOC CV VDDRQ SYS5V NC
VDD_CPU_GPU_CV VIN VIN_SYS_5V0 VDDQ_VDD2_1V8AO""".split()
PREFIXES = ["[2018-08-23 16:30:36] : ", "1611685351.25---", "Jan 26 18:22:31 tx2 log[7]: ", "> "]
UNKNOWN = "... ? =5 % 12/34 @3C (new 7%) \u00b0C -1@ [1,2] <x>".split()

counts = st.integers(0, 999_999_999)
percents = st.integers(0, 100)
clocks = st.integers(0, 9_999)
names = st.text("AVzq_09", min_size=1, max_size=8).map(lambda text: "N" + text)
milliwatts = st.integers(-9_999, 99_999)
celsius = st.integers(-256_000, 130_000).map(lambda thousandths: thousandths / 1000)

engines = st.one_of(
    st.builds(lambda name: [name, None, [], True], st.sampled_from(ENGINES) | names),
    st.builds(
        lambda name, load, mhz: [name, load, mhz if mhz or load is not None else [0], False],
        st.sampled_from(ENGINES) | names,
        st.none() | percents,
        st.lists(clocks, max_size=3),
    ),
)
rails = st.tuples(st.sampled_from(RAILS) | names, milliwatts, milliwatts, st.none() | milliwatts)
zones = st.tuples(st.sampled_from(ZONES) | names, celsius, st.none() | celsius)


def several(strategy):
    """One to six, as JSON has them."""
    return st.lists(strategy.map(list), min_size=1, max_size=6)


GROUPS = {
    ("lfb_blocks", "lfb_block_kb"): [counts, st.sampled_from([4096, 2048, 1024, 512, 64, 4])],
    ("swap_used_mb", "swap_total_mb", "swap_cached_mb"): [counts] * 3,
    ("iram_used_kb", "iram_total_kb", "iram_lfb_kb"): [counts] * 3,
    ("mts_fg_percent", "mts_bg_percent"): [percents] * 2,
}
ALONE = {
    "prefix": st.sampled_from(PREFIXES),
    "stamp": st.datetimes(datetime(2015, 1, 1)).map(lambda t: f"{t:%m-%d-%Y %H:%M:%S}"),
    "edp_limit": counts,
    "engines": several(engines),
    "temperatures": several(zones),
    "rails": several(rails),
    "unknown": st.lists(st.sampled_from(UNKNOWN), min_size=1, max_size=3),
}


def cores(clock):
    """One to fourteen cores, some off, with clocks drawn from `clock`."""
    on = st.tuples(percents, clock).map(list)
    return st.lists(st.none() | on, min_size=1, max_size=14)


def meanings(cores_strategy):
    """What one line may say; every field but RAM may be missing."""
    optional = {"cores": cores_strategy, **ALONE}
    optional |= {fields: st.tuples(*values) for fields, values in GROUPS.items()}
    ram = {("ram_used_mb", "ram_total_mb"): st.tuples(counts, counts)}
    return st.fixed_dictionaries(ram, optional=optional).map(_flat)


def _flat(drawn: dict) -> dict:
    meaning = {}
    for field, value in drawn.items():
        pairs = zip(field, value, strict=True) if isinstance(field, tuple) else [(field, value)]
        meaning |= dict(pairs)
    return meaning


one_clock = (st.none() | clocks).flatmap(lambda mhz: meanings(cores(st.just(mhz))))
own_clocks = meanings(cores(st.none() | clocks))


@st.composite
def lines(draw) -> tuple[dict, str]:
    """(meaning, line): the fields in any order, RAM first as tegrastats has it."""
    old = draw(st.booleans())
    meaning = draw(one_clock if old else own_clocks)
    found = pieces(meaning, draw(st.sampled_from(["", "mW"])), old, draw(st.booleans()))
    (first,) = found.pop("ram")
    kinds = draw(st.permutations(sorted(found)))
    start = " ".join([*stamp_of(meaning), first])
    fields = [text for kind in kinds for text in found[kind]]
    space = draw(st.sampled_from([" ", "  ", "\t"]))
    return meaning, meaning.get("prefix", "") + space.join([start, *fields])
