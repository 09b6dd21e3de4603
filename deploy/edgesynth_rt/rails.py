"""Which supply rails make up a board's power, per Jetson module (data with sources; Python 3.6).

Most modules measure their own input: then that one rail is the total and the others are parts of
it. AGX Xavier and AGX Orin have no such rail: there the total is a sum, of some rails and not of
others. Adding up every rail, as is often done, reads up to twice the truth.
"""

from collections import namedtuple

Rule = namedtuple(
    "Rule", "modules release signature total inside around gpu measures assumed source"
)
"""How the rails of some modules add up.

modules    names of the modules that have these rails
release    L4T releases that use these names
signature  rails that tell this set from the others
total      rails whose sum is the board's power; one where the input itself is measured
inside     rails that are already part of the total
around     rails outside of it, which contain the total (the carrier board's supply)
gpu        the rail that feeds the GPU, and what else hangs on it
measures   in words, what the total is the power of
assumed    why the rule is not certain, or None
source     where it is said
"""

Recognition = namedtuple("Recognition", "modules rule reason remarks")
"""Which modules the rails belong to, and the rule. Without a rule, `reason` says why there is none
and what to do. `remarks` are things that a reader of the figures has to know."""

UNCONNECTED = "NC"
"""The name of a sensor channel to which nothing is connected."""

TITLES = {
    "tx1": "Jetson TX1",
    "nano": "Jetson Nano",
    "tx2": "Jetson TX2",
    "tx2-nx": "Jetson TX2 NX",
    "xavier-nx": "Jetson Xavier NX",
    "agx-xavier": "Jetson AGX Xavier",
    "orin-nano": "Jetson Orin Nano",
    "orin-nx": "Jetson Orin NX",
    "agx-orin": "Jetson AGX Orin",
    "thor": "Jetson Thor",
}

_MODULE_INPUT = "the module's input; the carrier board, its fan and USB are not in it"
_CARRIER = ("VDD_MUX", "VDD_5V0_IO_SYS", "VDD_3V3_SYS", "VDD_3V3_IO_SLP", "VDD_1V8_IO")

RULES = (
    Rule(
        modules=("tx1",),
        release="R28 and later",
        signature=frozenset(["VDD_IN", "VDD_CPU", "VDD_GPU"]),
        total=("VDD_IN",),
        inside=("VDD_CPU", "VDD_GPU"),
        around=("VDD_MUX", "5V_IO_SYS", "3V3_SYS", "3V3_IO_SLP", "1V8_IO", "M2"),
        gpu=("VDD_GPU", "GPU"),
        measures=_MODULE_INPUT,
        assumed=None,
        source="device tree of L4T R28, INA3221 at 1-0040; rbonghi/jetson_stats",
    ),
    Rule(
        modules=("nano",),
        release="R32",
        signature=frozenset(["POM_5V_IN"]),
        total=("POM_5V_IN",),
        inside=("POM_5V_GPU", "POM_5V_CPU"),
        around=(),
        gpu=("POM_5V_GPU", "GPU"),
        measures="the 5 V input",
        assumed=None,
        source="forums.developer.nvidia.com/t/73608; rbonghi/jetson_stats#51",
    ),
    Rule(
        modules=("tx2",),
        release="R28",
        signature=frozenset(["VDD_IN", "VDD_CPU", "VDD_GPU", "VDD_SOC", "VDD_DDR"]),
        total=("VDD_IN",),
        inside=("VDD_CPU", "VDD_GPU", "VDD_SOC", "VDD_WIFI", "VDD_DDR"),
        around=_CARRIER,
        gpu=("VDD_GPU", "GPU"),
        measures=_MODULE_INPUT,
        assumed=None,
        source="lines of TX2 boards with L4T R28; NVIDIA Jetson Linux Developer Guide",
    ),
    Rule(
        modules=("tx2",),
        release="R31 and R32",
        signature=frozenset(["VDD_IN", "VDD_SYS_GPU", "VDD_SYS_CPU"]),
        total=("VDD_IN",),
        inside=(
            "VDD_SYS_GPU",
            "VDD_SYS_SOC",
            "VDD_SYS_CPU",
            "VDD_SYS_DDR",
            "VDD_SYS_SRAM",  # first revisions of the P3310 module
            "VDD_4V0_WIFI",  # not on the 4 GB module
        ),
        around=_CARRIER + ("VDD_3V3_SYS_M2",),
        gpu=("VDD_SYS_GPU", "GPU"),
        measures=_MODULE_INPUT,
        assumed=None,
        source="NVIDIA Jetson Linux Developer Guide; INA3221 at 0-0040 and 0-0041",
    ),
    Rule(
        modules=("tx2-nx",),
        release="R32.5 and later",
        signature=frozenset(["VDD_IN", "VDD_CPU_GPU", "VDD_SOC"]),
        total=("VDD_IN",),
        inside=("VDD_CPU_GPU", "VDD_SOC"),
        around=(),
        gpu=("VDD_CPU_GPU", "CPU and GPU together"),
        measures=_MODULE_INPUT,
        assumed="the names of TX2 NX rails were taken from descriptions, not from a board",
        source="NVIDIA Jetson Linux Developer Guide, TX2 NX",
    ),
    Rule(
        modules=("xavier-nx", "orin-nx", "orin-nano"),
        release="R32 and later",
        signature=frozenset(["VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"]),
        total=("VDD_IN",),
        inside=("VDD_CPU_GPU_CV", "VDD_SOC"),
        around=(),
        gpu=("VDD_CPU_GPU_CV", "CPU, GPU and CV together"),
        measures=_MODULE_INPUT,
        assumed=None,
        source='forums.developer.nvidia.com/t/200883: "VDD_IN is the total power of module"',
    ),
    Rule(
        modules=("agx-xavier",),
        release="R31 and later",
        signature=frozenset(["SYS5V", "VDDRQ"]),
        total=("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"),
        inside=(),
        around=(),
        gpu=("GPU", "GPU"),
        measures="the sum of the module's rails (no rail measures its input)",
        assumed=None,
        source="forums.developer.nvidia.com/t/81016 and /t/75574; rbonghi/jetson_stats#51",
    ),
    Rule(
        modules=("agx-orin",),
        release="R34 and later",
        signature=frozenset(["VDD_GPU_SOC", "VDD_CPU_CV"]),
        total=("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),
        inside=("VDDQ_VDD2_1V8AO",),  # measured behind the 5 V rail that is already counted
        around=(),
        gpu=("VDD_GPU_SOC", "GPU and SoC together"),
        measures="the sum of the module's supplies (no rail measures its input)",
        assumed=None,
        source="Linux tegra234-p3701.dtsi (ti,summation-disable); rbonghi/jetson_stats#344",
    ),
    Rule(
        modules=("thor",),
        release="R38 and later",
        signature=frozenset(["VDD_GPU", "VDD_CPU_SOC_MSS"]),
        total=("VIN",),
        inside=("VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0"),
        around=(),
        gpu=("VDD_GPU", "GPU"),
        measures="the carrier board's input, so more than the module",
        assumed=None,
        source="rbonghi/jetson_stats PR 900 (INA238)",
    ),
)


def recognise(rail_names, module=None, sample=None):
    """Find the `Recognition` of a set of rails.

    `module` is what the caller knows already (a key of TITLES) and wins over the names; `sample`,
    a tegrastats sample, tells apart modules that share their rails. Never guesses: rails that
    fit no module, or several, have no rule, and `reason` says so.
    """
    names = frozenset(rail_names) - {UNCONNECTED}
    if module is not None:
        return _as_told(names, module)
    if not names:
        return Recognition((), None, "no line has a power rail, so there is no power", ())
    fitting = [rule for rule in RULES if rule.signature <= names]
    fitting = [rule for rule in fitting if not any(_explains_more(r, rule) for r in fitting)]
    if len(fitting) != 1:
        what = "fit several modules" if fitting else "belong to no module that is known here"
        modules = tuple(module for rule in fitting for module in rule.modules)
        reason = "the rails %s %s; say which with --module" % (_listed(names), what)
        return Recognition(modules, None, reason, ())
    (rule,) = fitting
    return _with_rule(rule, _narrowed(rule.modules, sample), names)


def board_power_mw(rule, rails):
    """Board power of one sample's `rails` in mW, None where a rail of the total lacks or repeats.

    `rails` are objects with `name` and `power_mw`, such as `tegrastats.Rail`.
    """
    total = 0
    for wanted in rule.total:
        readings = [rail.power_mw for rail in rails if rail.name == wanted]
        if len(readings) != 1:
            return None
        total += readings[0]
    return total


def role(rule, name):
    """What the rail `name` is under `rule`: total, summed, inside, around, unconnected, unknown."""
    if name == UNCONNECTED:
        return "unconnected"
    if rule is None:
        return "unknown"
    if name in rule.total:
        return "total" if len(rule.total) == 1 else "summed"
    if name in rule.inside:
        return "inside"
    return "around" if name in rule.around else "unknown"


def _as_told(names, module):
    """The rule of `module`; of its naming schemes the one that shares most rails with `names`."""
    of_module = [rule for rule in RULES if module in rule.modules]
    if not of_module:
        reason = 'no module "%s"; known: %s' % (module, ", ".join(TITLES))
        return Recognition((), None, reason, ())
    best = max(of_module, key=lambda rule: len(names & frozenset(rule.total + rule.inside)))
    return _with_rule(best, (module,), names)


def _with_rule(rule, modules, names):
    missing = [rail for rail in rule.total if rail not in names]
    if missing:
        reason = "the total of %s is %s, but no line has %s (there are: %s)" % (
            _titled(modules),
            " + ".join(rule.total),
            " and ".join(missing),
            _listed(names) or "no rails",
        )
        return Recognition(modules, None, reason, ())
    remarks = [rule.assumed] if rule.assumed else []
    strange = [rail for rail in sorted(names) if role(rule, rail) == "unknown"]
    if strange:
        remarks.append(
            "not a rail that is known on %s, left out of the board's power: %s"
            % (_titled(modules), _listed(strange))
        )
    return Recognition(modules, rule, None, tuple(remarks))


def _explains_more(other, rule):
    """True where `other` knows every rail of `rule`'s signature, and needs more of them."""
    known = frozenset(other.total + other.inside)
    return rule.signature <= known and len(other.signature) > len(rule.signature)


def _narrowed(modules, sample):
    """Those of `modules` that the temperatures, cores and engines of `sample` do not rule out."""
    if sample is None or len(modules) == 1:
        return modules
    zones = {temperature.name.lower() for temperature in sample.temperatures}
    if "aux" in zones or "pmic" in zones:
        return tuple(module for module in modules if not module.startswith("orin"))
    if not zones & {"soc0", "tj"}:
        return modules
    orin = tuple(module for module in modules if module.startswith("orin"))
    engines = {engine.name for engine in sample.engines}
    has_dla = any(name.startswith("NVDLA") for name in engines)
    if has_dla or len(sample.cores) > 6 or (sample.ram_total_mb or 0) > 8192:
        return ("orin-nx",)
    lists_all_engines = "NVDEC" in engines or "NVDEC0" in engines  # R36 and later, root
    return ("orin-nano",) if lists_all_engines else orin


def _titled(modules):
    return " or ".join(TITLES[module] for module in modules)


def _listed(names):
    return ", ".join(sorted(names))
