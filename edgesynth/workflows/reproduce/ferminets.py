"""FermiNets (arXiv:1809.05989): a learned generator against rival searches at equal evaluations.

All searches of a seed have the same prototype, space, short training and number of evaluations; the
best that each finds is trained fully in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import mean
from typing import Any

import msgspec

from edgesynth.core.errors import EdgesynthError, UserError, nearest
from edgesynth.core.progress import Progress, Silent
from edgesynth.core.provenance import command_line, versions
from edgesynth.core.requirement import parse_requirements
from edgesynth.core.search import Candidate, Member, Search, read_candidates, read_search
from edgesynth.core.search_comparison import (
    GENERATOR,
    FamilyRow,
    SearchRow,
    check_searches,
    summarize_searches,
)
from edgesynth.networks import edgenet
from edgesynth.report.searches import write_search_page
from edgesynth.synthesis.executor import ExecutorPlan
from edgesynth.synthesis.generative.evaluation import judged
from edgesynth.synthesis.generative.problem import Problem, Utility
from edgesynth.synthesis.generative.search import Effort, looks_of
from edgesynth.synthesis.generative.searchers import RIVALS
from edgesynth.tasks.training import TrainingPlan
from edgesynth.workflows.generate import GenerationPlan, generate
from edgesynth.workflows.generated import FamilyPlan, generate_from
from edgesynth.workflows.reproduce.judging import latencies_ms, onnx_bytes
from edgesynth.workflows.reproduce.paper import Quote
from edgesynth.workflows.reproduce.results import open_results, run_all
from edgesynth.workflows.train import train
from edgesynth_rt.files import read_json, write_json

SCHEMA = "edgesynth.search-comparison/1"
NAME = "ferminets"
SEARCHES = (GENERATOR, *RIVALS)
_HERE = ExecutorPlan(workers=1)
"""A seed is one process, whatever else runs beside it."""
QUOTES = (
    Quote(
        arxiv="1809.05989",
        title="FermiNets: Learning generative machines to generate efficient neural networks via "
        "generative synthesis",
        network="generated networks",
        data="classification, segmentation and detection",
        device="-",
        claimed="more than 10 times the model efficiency and fewer MACs than several efficient "
        "networks",
        differs="other prototypes, other data",
    ),
    Quote(
        arxiv="1809.05989",
        title="FermiNets",
        network="generated networks",
        data="-",
        device="Nvidia Tegra X2",
        claimed="more than 4 times the image inferences per joule",
        differs="predicted by a fitted model, not measured on the board",
    ),
)


@dataclass(frozen=True, kw_only=True)
class SearchRecipe:
    """Every setting that shapes a result, with its default, once."""

    network: str = "resnet20"
    """The prototype: trained anew for every seed, or a trained .edgenet that all share."""
    requirements: tuple[str, ...] = ("accuracy_loss<=1",)
    utility: str = "netscore"
    margin: float = 1.0
    evaluations: int = 48
    per_cycle: int = 8
    proxy_epochs: int = 1
    proxy_images: int | None = 6000
    ancestor_epochs: int = 16
    """Of the prototype's training."""
    epochs: int = 16
    """Of full trainings."""
    networks: int = 3
    """That each search has trained fully."""
    family: int = 0
    """New seeds of each learned generator whose networks are trained fully."""
    family_epochs: int | None = None
    """Of those trainings; None takes `epochs`."""
    batch: int = 128
    learning_rate: float = 3e-3
    augment: str = "flip,shift=2"
    """Of the prototype's training."""
    offspring_augment: str = "none"
    """Of full trainings: small networks have nothing left to overfit with."""
    distill: float = 1.0
    """Share of the prototype's outputs in the loss of full trainings."""
    threads: int = 1

    def plan(self, search: str, seed: int) -> GenerationPlan:
        """What one search is asked to do."""
        steps = {"batch": self.batch, "learning_rate": self.learning_rate}
        return GenerationPlan(
            requirements=parse_requirements(self.requirements),
            utility=Utility(self.utility),
            margin=self.margin,
            effort=Effort(self.evaluations, self.per_cycle, looks_of(self.networks)),
            networks=self.networks,
            search=search,
            proxy=TrainingPlan(epochs=self.proxy_epochs, **steps),  # type: ignore[arg-type]
            proxy_images=self.proxy_images,
            training=self.training(self.epochs, self.offspring_augment),
            distill=self.distill,
            threads=self.threads,
            seed=seed,
        )

    def training(self, epochs: int, augment: str) -> TrainingPlan:
        """A full training."""
        return TrainingPlan(
            epochs=epochs,
            batch=self.batch,
            learning_rate=self.learning_rate,
            augment=augment,
        )

    def document(self) -> dict[str, Any]:
        """The settings that another call in the same folder must share."""
        free = ("family", "family_epochs")
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in free}


@dataclass(frozen=True)
class _Work:
    """All of one seed, as another process is told it."""

    data: str
    out: Path
    recipe: SearchRecipe
    seed: int
    searches: tuple[str, ...]


def reproduce_ferminets(
    data: str,
    out: Path,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    searches: Sequence[str] = (),
    workers: int = 1,
    recipe: SearchRecipe | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Run all `searches` of every seed and write `result.json` and `report.html` to `out`.

    What `out` holds is not done again. Returns `result.json`, with whether each check holds.

    Raises UserError for an unknown search or a folder of other settings, MissingError for tpe
    without Optuna when it is asked for by name.
    """
    recipe, progress = recipe or SearchRecipe(), progress or Silent()
    chosen, missing = _chosen(searches)
    open_results(out, {"paper": NAME, "data": data, "recipe": recipe.document()})
    works = [_Work(data, out, recipe, seed, chosen) for seed in seeds]
    run_all(works, _run_seed, workers, progress)
    document = _document(out, data, recipe, missing)
    write_json(str(out / "result.json"), document)
    write_search_page(document, out / "report.html")
    progress.say(f"{out / 'result.json'} and {out / 'report.html'} are written")
    return document


def _chosen(asked: Sequence[str]) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    """The searches to be run, and those that cannot be."""
    from edgesynth.synthesis.generative.searchers import require_optuna

    for name in asked:
        if name not in SEARCHES:
            raise UserError(f'no rival "{name}"; {nearest(name, list(SEARCHES))}')
    chosen = tuple(name for name in SEARCHES if not asked or name in asked)
    if "tpe" in chosen:
        try:
            require_optuna()
        except EdgesynthError as error:
            if "tpe" in asked:
                raise
            chosen = tuple(name for name in chosen if name != "tpe")
            return chosen, [{"rival": "tpe", "reason": str(error)}]
    return chosen, []


def _run_seed(work: _Work, progress: Progress | None) -> None:
    """The prototype, every search, and the family of one seed."""
    shown, recipe = progress or Silent(), work.recipe
    folder = work.out / f"s{work.seed}"
    prototype = _prototype(work, shown)
    for name in work.searches:
        if not (folder / name / "row.json").exists():
            shown.say(f"seed {work.seed}: {name}")
            generate(
                str(prototype), work.data, folder / name,
                plan=recipe.plan(name, work.seed), executor=_HERE, resume=True, progress=shown,
            )  # fmt: skip
            row = _row(folder / name, name, work.seed)
            write_json(str(folder / name / "row.json"), msgspec.to_builtins(row))
    if recipe.family and GENERATOR in work.searches:
        _make_family(folder, work, shown)


def _prototype(work: _Work, progress: Progress) -> Path:
    """The trained prototype of the seed."""
    recipe = work.recipe
    if recipe.network.endswith(".edgenet"):
        return Path(recipe.network)
    place = work.out / f"s{work.seed}" / "prototype.edgenet"
    if not place.exists():
        train(
            recipe.network, work.data, place,
            plan=recipe.training(recipe.ancestor_epochs, recipe.augment),
            seed=work.seed, resume=True, progress=progress,
        )  # fmt: skip
    return place


def _make_family(folder: Path, work: _Work, progress: Progress) -> None:
    if (folder / "family.json").exists():
        return
    (saved,) = (folder / GENERATOR).glob("*.generator")
    recipe = work.recipe
    document = generate_from(
        saved,
        folder / "family",
        plan=FamilyPlan(
            networks=recipe.family,
            seed=1000 + work.seed,
            training=recipe.training(
                recipe.family_epochs or recipe.epochs, recipe.offspring_augment
            ),
            threads=recipe.threads,
        ),
        executor=_HERE,
        resume=True,
        progress=progress,
    )
    share = document["share"]
    row = FamilyRow(
        seed=work.seed,
        seeds=recipe.family,
        distinct=share["distinct"],
        holding=share["holding"],
        wilson95=tuple(share["wilson95"]),
    )
    write_json(str(folder / "family.json"), msgspec.to_builtins(row))


def _row(folder: Path, name: str, seed: int) -> SearchRow:
    search = read_search(folder)
    tried = _judged(search, read_candidates(folder / "candidates.jsonl"))
    prototype = search.family[0]
    best = next(one for one in search.family if one.id == search.best)
    own, base = _joules(best), _joules(prototype)
    last = max(one.cycle for one in tried)
    return SearchRow(
        seed=seed,
        search=name,
        evaluations=len(tried),
        feasible=sum(one.feasible for one in tried),
        holds=best.holds,
        test_accuracy=best.test_accuracy,
        prototype_test_accuracy=prototype.test_accuracy,
        netscore=best.netscore,
        prototype_netscore=prototype.netscore,
        params=best.params,
        macs=best.macs,
        fewer_params=prototype.params / best.params,
        fewer_macs=prototype.macs / best.macs,
        inferences_per_joule=own,
        more_inferences_per_joule=own / base if own and base else None,
        faster=_faster(folder, prototype, best),
        first_cycle_score=mean(one.score for one in tried if one.cycle == 1),
        last_cycles_score=mean(one.score for one in tried if one.cycle >= max(1, last - 1)),
        rank_correlation=search.rank_correlation,
        seconds=sum(one.seconds for one in tried),
        best_so_far=_best_so_far(tried),
    )


def _judged(search: Search, candidates: Sequence[Candidate]) -> list[Candidate]:
    """All that was tried, in order, with the scores that follow from what was known at the end."""
    reference = next(one for one in candidates if one.cycle == 0)
    problem = Problem(
        utility=Utility(search.plan["utility"]),
        requirements=parse_requirements(search.plan["requirements"]),
        margin=search.plan["margin"],
        prototype_accuracy=search.family[0].accuracy,
        reference=reference.accuracy,
        recovery=search.recovery,
    )
    tried = [judged(one, problem) for one in candidates if one.cycle > 0]
    return sorted(tried, key=lambda one: (one.cycle, int(one.id.rpartition("-")[2])))


def _joules(member: Member) -> float | None:
    return member.predictions.get("tx2", {}).get("inferences_per_joule")


def _best_so_far(tried: Sequence[Candidate]) -> list[float]:
    best: list[float] = []
    for one in tried:
        best.append(max(one.score, best[-1]) if best else one.score)
    return best


def _faster(folder: Path, prototype: Member, best: Member) -> float | None:
    networks = [edgenet.load(folder / one.network) for one in (prototype, best)]
    try:
        times = latencies_ms(
            [onnx_bytes(network) for network in networks], networks[0].example_input().numpy()
        )
    except EdgesynthError:
        return None
    return times[0] / times[1]


def _document(
    out: Path, data: str, recipe: SearchRecipe, missing: list[dict[str, str]]
) -> dict[str, Any]:
    rows = [msgspec.convert(read_json(str(p), "row"), SearchRow) for p in out.glob("s*/*/row.json")]
    rows.sort(key=lambda row: (SEARCHES.index(row.search), row.seed))
    families = [
        msgspec.convert(read_json(str(p), "family"), FamilyRow)
        for p in sorted(out.glob("s*/family.json"))
    ]
    checks = [each.document() for each in check_searches(rows, families)]
    document = {
        "schema": SCHEMA,
        "paper": {"name": NAME, "title": QUOTES[0].title, "arxiv": QUOTES[0].arxiv},
        "data": data,
        "command": command_line(),
        "settings": recipe.document(),
        "versions": versions("torch", "numpy", "onnxruntime", "optuna"),
        "seeds": sorted({row.seed for row in rows}),
        "not_run": missing,
        "claims": [
            {**msgspec.to_builtins(quote), "status": f"not reproduced here: {quote.differs}"}
            for quote in QUOTES
        ],
        "checks": checks,
        "holds": all(each["holds"] is not False for each in checks),
        "summary": summarize_searches(rows),
        "families": families,
        "rows": rows,
    }
    built: dict[str, Any] = msgspec.to_builtins(document)
    return built
