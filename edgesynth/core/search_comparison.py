"""Searches of one space compared at equal evaluations: one row for each seed and search."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

import msgspec

from edgesynth.core.reproduction import Check, Spread, spread

GENERATOR = "generator"


class SearchRow(msgspec.Struct, frozen=True, kw_only=True):
    """What one search of one seed ended with; figures of the best network, fully trained."""

    seed: int
    search: str
    evaluations: int
    feasible: int
    """Candidates that met the requirement after their short training."""
    holds: bool
    """Whether the best network meets the requirement on validation data."""
    test_accuracy: float
    prototype_test_accuracy: float
    netscore: float | None
    prototype_netscore: float | None
    params: int
    macs: int
    fewer_params: float
    fewer_macs: float
    inferences_per_joule: float | None
    more_inferences_per_joule: float | None
    """Predicted on TX2 at fp16, times the prototype's."""
    faster: float | None
    """Measured here with ONNX Runtime on one thread, batch 1, times the prototype."""
    first_cycle_score: float
    last_cycles_score: float
    """Mean scores of the first cycle and of the last two."""
    rank_correlation: float | None
    seconds: float
    """Of all short trainings."""
    best_so_far: list[float]
    """Best score after each evaluation."""

    @property
    def lost_points(self) -> float:
        return 100 * (self.prototype_test_accuracy - self.test_accuracy)

    @property
    def gain_db(self) -> float:
        """NetScore above the prototype's; 0 for a search that ended without a network that meets
        the requirement."""
        if not self.holds or self.netscore is None or self.prototype_netscore is None:
            return 0.0
        return self.netscore - self.prototype_netscore


class FamilyRow(msgspec.Struct, frozen=True, kw_only=True):
    """Networks of new seeds, made by a learned generator and fully trained."""

    seed: int
    seeds: int
    distinct: int
    holding: int
    wilson95: tuple[float, float]


class SearchSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One search over all seeds."""

    search: str
    seeds: list[int]
    holding: int
    gain_db: Spread
    lost_points: Spread
    fewer_params: Spread
    fewer_macs: Spread
    more_inferences_per_joule: Spread | None
    faster: Spread | None


def summarize_searches(rows: Sequence[SearchRow]) -> list[SearchSummary]:
    """One summary per search, in the order of the rows."""
    found = []
    for name in dict.fromkeys(row.search for row in rows):
        mine = [row for row in rows if row.search == name]
        found.append(
            SearchSummary(
                search=name,
                seeds=sorted(row.seed for row in mine),
                holding=sum(row.holds for row in mine),
                gain_db=spread(row.gain_db for row in mine),
                lost_points=spread(row.lost_points for row in mine),
                fewer_params=spread(row.fewer_params for row in mine),
                fewer_macs=spread(row.fewer_macs for row in mine),
                more_inferences_per_joule=_known(row.more_inferences_per_joule for row in mine),
                faster=_known(row.faster for row in mine),
            )
        )
    return found


def _known(values: Iterable[float | None]) -> Spread | None:
    known = [value for value in values if value is not None]
    return spread(known) if known else None


def check_searches(rows: Sequence[SearchRow], families: Sequence[FamilyRow]) -> list[Check]:
    """What the issue of this reproduction asks for, one check each."""
    by_name = {one.search: one for one in summarize_searches(rows)}
    ours = by_name.get(GENERATOR)
    if ours is None:
        return [Check("generator", "the generator was run", None, "it was not")]
    mine = [row for row in rows if row.search == GENERATOR]
    checks = [
        _smaller(ours),
        _joules(ours),
        _floor(ours),
        Check(
            "NetScore", "NetScore at least 15 dB above the prototype, requirement met",
            ours.gain_db.mean >= 15, _told(ours.gain_db, "dB"),
        ),
        Check(
            "learned", "F2: the last two cycles score at least 3 dB above the first",
            _gain(mine) >= 3, f"{_gain(mine):.2f} dB on average",
        ),
    ]  # fmt: skip
    checks += [_beats(ours, by_name.get(name), name) for name in ("random", "evolution", "tpe")]
    return [*checks, *_families(families)]


def _smaller(ours: SearchSummary) -> Check:
    claim = "at least 10 times fewer MACs and parameters, at most 1 point below the prototype"
    holds = (
        ours.fewer_macs.mean >= 10 and ours.fewer_params.mean >= 10 and ours.lost_points.mean <= 1
    )
    found = (
        f"{_told(ours.fewer_macs, 'times fewer MACs')}, "
        f"{_told(ours.fewer_params, 'times fewer parameters')}, "
        f"{_told(ours.lost_points, 'points lost')}"
    )
    return Check("smaller", claim, holds, found)


def _floor(ours: SearchSummary) -> Check:
    claim = "F1: NetScore at least 12 dB above, 5 times fewer parameters, 2.5 times fewer MACs, "
    claim += "at most 1 point lost"
    holds = ours.gain_db.mean >= 12 and ours.lost_points.mean <= 1
    holds = holds and ours.fewer_params.mean >= 5 and ours.fewer_macs.mean >= 2.5
    return Check("F1", claim, holds, f"{_told(ours.gain_db, 'dB')}; sizes as above")


def _joules(ours: SearchSummary) -> Check:
    claim = "at least 4 times the predicted inferences per joule on TX2"
    more = ours.more_inferences_per_joule
    if more is None:
        return Check("joule", claim, None, "not predicted")
    faster = "" if ours.faster is None else f"; {_told(ours.faster, 'times faster measured here')}"
    return Check("joule", claim, more.mean >= 4, _told(more, "times, predicted") + faster)


def _gain(mine: Sequence[SearchRow]) -> float:
    return statistics.mean(row.last_cycles_score - row.first_cycle_score for row in mine)


def _beats(ours: SearchSummary, other: SearchSummary | None, name: str) -> Check:
    claim = f"better than {name} at equal evaluations (mean gain in NetScore)"
    if other is None:
        return Check(f"beats {name}", claim, None, f"{name} was not run")
    found = f"{_told(ours.gain_db, 'dB')} against {_told(other.gain_db, 'dB')}"
    return Check(f"beats {name}", claim, ours.gain_db.mean > other.gain_db.mean, found)


def _families(families: Sequence[FamilyRow]) -> list[Check]:
    distinct = "F3: at least 40 distinct networks of 64 new seeds"
    share = "at least 90 % of them meet the requirement after full training"
    if not families:
        return [Check("distinct", distinct, None, "no family was made; add --family 64"),
                Check("family", share, None, "no family was made; add --family 64")]  # fmt: skip
    words = ", ".join(f"{one.distinct} of {one.seeds}" for one in families)
    told = ", ".join(
        f"{one.holding} of {one.distinct} ({one.wilson95[0]:.0%} to {one.wilson95[1]:.0%})"
        for one in families
    )
    enough = all(one.distinct >= 40 * one.seeds / 64 for one in families)
    holding = sum(one.holding for one in families) / max(1, sum(one.distinct for one in families))
    return [
        Check("distinct", distinct, enough, words),
        Check("family", share, holding >= 0.9, told),
    ]


def _told(values: Spread, unit: str) -> str:
    return f"{values.mean:.2f} {unit} ({values.low:.2f} to {values.high:.2f})"
