"""Who is compared with whom: the networks of a report, the parent and its best child."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgesynth.core.history import Offspring
from edgesynth.core.metric import ACCURACY
from edgesynth.report.evidence import Evidence, Finding
from edgesynth.report.lineage import Evolution
from edgesynth.report.record import Cost

_OTHER_INKS = ("third", "fourth", "fifth")


@dataclass(frozen=True)
class Setting:
    """How a latency came about; only latencies of one setting are compared with each other."""

    kind: str
    module: str
    power_mode: str
    backend: str
    precision: str
    batch: int | None

    @property
    def where(self) -> str:
        """The machine, e.g. `this machine` for the host or `tx2, MAXN`."""
        if self.module == "host":
            return "host CPU" if self.backend == "onnxruntime" else "host"
        return f"{self.module}, {self.power_mode}" if self.power_mode else self.module

    @property
    def how(self) -> str:
        """Backend, precision and batch, e.g. `onnxruntime, fp32, batch 1`."""
        batch = f", batch {self.batch}" if self.batch else ""
        return f"{self.backend}, {self.precision}{batch}"


@dataclass(frozen=True)
class Subject:
    """One network: its name, its colour on the page, and everything known about it."""

    name: str
    ink: str
    offspring: Offspring | None = None
    findings: tuple[Finding, ...] = ()
    test_accuracy: float | None = None
    """Of the run, a fraction."""
    metric: str = ACCURACY
    """What the run's accuracies are."""

    @property
    def cost(self) -> Cost:
        """From the run where there is one, else from the first record that states it."""
        if self.offspring is not None:
            own = self.offspring
            return Cost(own.params, own.macs, own.size_bytes)
        return next((f.record.cost for f in self.findings if f.record.cost.params), Cost())

    def finding(self, setting: Setting) -> Finding | None:
        """The newest record of this network in `setting`."""
        there = [f for f in self.findings if setting_of(f) == setting]
        return max(there, key=lambda f: f.record.created, default=None)


@dataclass(frozen=True)
class Cast:
    """The networks of a report; without a parent there is nothing to compare `child` with."""

    parent: Subject | None
    child: Subject
    others: tuple[Subject, ...] = ()

    @property
    def everyone(self) -> list[Subject]:
        return [*([self.parent] if self.parent else []), self.child, *self.others]

    def settings(self, kind: str) -> list[Setting]:
        """Every setting of the records of `kind`, in the order of the sources."""
        found = [setting_of(f) for one in self.everyone for f in one.findings]
        return list(dict.fromkeys(s for s in found if s.kind == kind))


def setting_of(finding: Finding) -> Setting:
    """The setting that a record was made in."""
    record = finding.record
    return Setting(
        record.kind,
        str(record.device.get("module", "")),
        str(record.device.get("power_mode") or ""),
        record.backend,
        record.precision,
        record.batch,
    )


def cast(evidence: Evidence) -> Cast:
    """Name the parent and the child in `evidence`, which holds a run or a record at least.

    A run says it: its ancestor and its best offspring. Records belong to them when they state the
    same parameters and MACs. Without a run the bundle with the most MACs is taken as the parent
    and the one with the fewest as the child.
    """
    by_bundle: dict[tuple[str, str | None], list[Finding]] = {}
    for finding in evidence.findings:
        bundle = finding.record.bundle
        by_bundle.setdefault((bundle.name, bundle.id), []).append(finding)
    bundles = list(by_bundle.values())
    run = _run_of(evidence.runs, bundles)
    if run is not None:
        return _cast_of_run(run, bundles)
    bundles.sort(key=_weight, reverse=True)
    if len(bundles) == 1:
        return Cast(None, _subject(bundles[0], "child"))
    others = _others(bundles[1:-1])
    return Cast(_subject(bundles[0], "parent"), _subject(bundles[-1], "child"), others)


def _run_of(runs: Sequence[Evolution], bundles: Sequence[list[Finding]]) -> Evolution | None:
    """The run that the records are about; the first one where none matches."""
    for run in runs:
        if any(_about(bundle, run.best) for bundle in bundles):
            return run
    return runs[0] if runs else None


def _cast_of_run(run: Evolution, bundles: list[list[Finding]]) -> Cast:
    child = _taken(run, run.best, "child", bundles)
    parent = None if run.best is run.ancestor else _taken(run, run.ancestor, "parent", bundles)
    return Cast(parent, child, _others(bundles))


def _taken(run: Evolution, offspring: Offspring, ink: str, bundles: list[list[Finding]]) -> Subject:
    """The subject of `offspring`; the bundles that are about it are taken off the list."""
    own = [bundle for bundle in bundles if _about(bundle, offspring)]
    for bundle in own:
        bundles.remove(bundle)
    findings = tuple(finding for bundle in own for finding in bundle)
    name = findings[0].record.bundle.name if findings else _name(run, offspring)
    return Subject(name, ink, offspring, findings, run.test_accuracy(offspring), run.metric)


def _name(run: Evolution, offspring: Offspring) -> str:
    if offspring is run.ancestor and run.run is not None:
        return run.run.parent
    return f"{run.run.parent}-{offspring.id}" if run.run else offspring.id


def _about(bundle: list[Finding], offspring: Offspring) -> bool:
    return any(
        (f.record.cost.params, f.record.cost.macs) == (offspring.params, offspring.macs)
        for f in bundle
    )


def _subject(bundle: list[Finding], ink: str) -> Subject:
    return Subject(bundle[0].record.bundle.name, ink, None, tuple(bundle))


def _others(bundles: Sequence[list[Finding]]) -> tuple[Subject, ...]:
    return tuple(
        _subject(bundle, _OTHER_INKS[index % len(_OTHER_INKS)])
        for index, bundle in enumerate(bundles)
    )


def _weight(bundle: list[Finding]) -> tuple[float, float]:
    costs = [finding.record.cost for finding in bundle]
    return max(c.macs or 0.0 for c in costs), max(c.params or 0.0 for c in costs)
