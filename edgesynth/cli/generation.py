"""The options of `generate` that shape its result, and what it shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import Console

    from edgesynth.workflows.generate import GenerationPlan
    from edgesynth.workflows.generated import FamilyPlan

F = TypeVar("F", bound=Callable[..., Any])
NETWORKS, EPOCHS = 4, 16

_OPTIONS = (
    click.option("--data", help="fashion-mnist, cifar10:DIR, imagefolder:DIR, ..."),
    click.option(
        "--require",
        "requirements",
        multiple=True,
        help="A bound such as accuracy_loss<=1, macs<=1.2M, energy<=2mJ@tx2; several times.",
    ),
    click.option(
        "--networks", type=click.IntRange(1, 10_000), help="To deliver, trained.  [default: 4]"
    ),
    click.option(
        "--evaluations",
        type=click.IntRange(1),
        default=48,
        show_default=True,
        help="Networks that are trained shortly.",
    ),
    click.option(
        "--per-cycle",
        type=click.IntRange(1),
        default=8,
        show_default=True,
        help="Of them between two updates of the generator.",
    ),
    click.option(
        "--proxy-epochs",
        type=click.IntRange(1),
        default=2,
        show_default=True,
        help="Of a short training.",
    ),
    click.option(
        "--proxy-images", type=click.IntRange(1), help="Train images of it.  [default: all]"
    ),
    click.option(
        "--epochs", type=click.IntRange(1), help=f"Of a full training.  [default: {EPOCHS}]"
    ),
    click.option("--batch", type=click.IntRange(1), default=64, show_default=True,
                 help="Images per training step."),
    click.option("--learning-rate", type=click.FloatRange(0, min_open=True), default=2e-3,
                 show_default=True, help="At its peak."),
    click.option("--augment", default="none", show_default=True,
                 help="Of full trainings: flip, shift=2, or both."),
    click.option("--distill", type=click.FloatRange(0, 1),
                 help="Share of PARENT's outputs in the loss of full trainings.  [default: 0]"),
    click.option("--utility", default="netscore", show_default=True,
                 help="What is maximized: netscore, netscore-energy@tx2, package.module:function."),
    click.option("--margin", type=float, default=1.0, show_default=True, metavar="POINTS",
                 help="Of accuracy that candidates keep above the floor."),
    click.option("--vary", default="width,expansion,depth,branch,kernel,grouping",
                 show_default=True, help="What may be changed."),
    click.option("--narrowest", type=click.FloatRange(0, 1, min_open=True), default=0.1,
                 show_default=True, help="Of a stage, times PARENT's width."),
    click.option("--widest", type=click.FloatRange(0.05, 8), default=1.25, show_default=True,
                 help="Likewise."),
    click.option("--round-to", type=click.IntRange(1), default=2, show_default=True,
                 help="Channels in multiples: 2 for TX1 and TX2, 8 for tensor cores."),
    click.option("--formats", help="Of weights, to choose from per stage, such as fp16,int8,int4."),
    click.option("--head", is_flag=True, help="Give the generator a small network as its head."),
    click.option("--fresh", is_flag=True, help="Networks do not inherit PARENT's weights."),
    click.option("--weights", type=click.Path(path_type=Path), help="State dict of PARENT."),
    click.option("--trust", multiple=True,
                 help="A factory that a .edgenet may import and call."),
)  # fmt: skip


def generation_options(command: F) -> F:
    """Add the options; `generation_plan` and `family_plan` read them."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def generation_plan(options: dict[str, Any]) -> GenerationPlan:
    """The plan of a search. Raises UserError naming what is wrong."""
    from edgesynth.core.precision import format_named
    from edgesynth.core.requirement import parse_requirements
    from edgesynth.synthesis.generative.problem import Utility
    from edgesynth.synthesis.generative.search import Effort, looks_of
    from edgesynth.synthesis.generative.space import SpaceOptions, check_kinds
    from edgesynth.synthesis.generative.update import Update
    from edgesynth.tasks.training import TrainingPlan
    from edgesynth.workflows.generate import GenerationPlan

    formats = tuple(each.strip() for each in (options["formats"] or "").split(",") if each.strip())
    space = SpaceOptions(
        vary=check_kinds(options["vary"]),
        narrowest=options["narrowest"],
        widest=options["widest"],
        round_to=options["round_to"],
        formats=tuple(format_named(name).name for name in formats),
    )
    steps = {"batch": options["batch"], "learning_rate": options["learning_rate"]}
    return GenerationPlan(
        requirements=parse_requirements(options["requirements"] or ("accuracy_loss<=1",)),
        utility=Utility(options["utility"]),
        margin=options["margin"],
        effort=Effort(
            options["evaluations"], options["per_cycle"], looks_of(options["networks"] or NETWORKS)
        ),
        networks=options["networks"] or NETWORKS,
        space=space,
        update=Update(head=options["head"]),
        proxy=TrainingPlan(epochs=options["proxy_epochs"], **steps),
        proxy_images=options["proxy_images"],
        training=TrainingPlan(
            epochs=options["epochs"] or EPOCHS, augment=options["augment"], **steps
        ),
        distill=options["distill"] or 0.0,
        inherit=not options["fresh"],
        threads=options["threads"],
        seed=options["seed"],
    )


def family_plan(options: dict[str, Any]) -> FamilyPlan:
    """The plan of what a saved generator makes."""
    from edgesynth.tasks.training import TrainingPlan
    from edgesynth.workflows.generated import FamilyPlan

    training = None
    if options["epochs"] is not None:
        training = TrainingPlan(
            epochs=options["epochs"],
            batch=options["batch"],
            learning_rate=options["learning_rate"],
            augment=options["augment"],
        )
    return FamilyPlan(
        networks=options["networks"] or NETWORKS,
        seed=options["seed"],
        data=options["data"],
        training=training,
        distill=options["distill"],
        requirements=options["requirements"] or None,
        threads=options["threads"],
    )


def show(document: dict[str, Any], console: Console) -> None:
    """Print the document of `generate`."""
    from rich.table import Table

    prototype = document["prototype"]
    table = Table(title=f"{document['search']}: {document['metric']}", title_justify="left")
    for column in ("network", "test", "validation", "params", "MACs", "NetScore", "meets all"):
        table.add_column(column, justify="left" if column == "network" else "right")
    for one in [prototype, *document["family"]]:
        score = "-" if one["netscore"] is None else f"{one['netscore']:.2f}"
        table.add_row(
            f"{one['id']}{' (best)' if one['id'] == document['best']['id'] else ''}",
            f"{one['test_accuracy']:.4f}",
            f"{one['accuracy']:.4f}",
            f"{one['params']:,} ({prototype['params'] / one['params']:.1f}x)",
            f"{one['macs']:,} ({prototype['macs'] / one['macs']:.1f}x)",
            score,
            "yes" if one["holds"] else "no",
        )
    console.print(table)
    share = document["share"]
    low, high = share["wilson95"]
    console.print(
        f"{share['distinct']} distinct networks, {share['holding']} meet all: "
        f"{100 * (share['share'] or 0):.0f} % (95 %: {100 * low:.0f} to {100 * high:.0f} %)"
    )
    if document["rank_correlation"] is not None:
        console.print(
            f"inquisitor: rank correlation {document['rank_correlation']:.2f} over "
            f"{document['foretold']} networks that it had not seen"
        )
    for verdict in document["requirements"]:
        value, word = verdict["value"], "holds" if verdict["holds"] else "FAILS"
        known = "" if value is None else f": {value:,.0f}" if value >= 1000 else f": {value:.4g}"
        console.print(f"{word}: {verdict['requirement']}{known}", markup=False)
    for line in document["obstacles"]:
        console.print(f"in the way: {line}", markup=False)
