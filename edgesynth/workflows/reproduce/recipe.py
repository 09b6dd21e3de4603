"""The recipe of a reproduction: every setting that shapes a result, with its default, once."""

from __future__ import annotations

from dataclasses import dataclass

from edgesynth.synthesis.environment import parse_environment
from edgesynth.synthesis.genome import Genome
from edgesynth.synthesis.stress import parse_stress
from edgesynth.tasks.augmentation import parse_augmentation
from edgesynth.workflows.reproduce.recipe_settings import document_of


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What all rivals share, and how edgesynth's own draw.

    Raises UserError when a genome or the stress is not understood.
    """

    network: str = "lenet5"
    ancestor_epochs: int = 16
    epochs: tuple[int, ...] = (2, 2, 2, 2, 4, 6, 14)
    """Of training after each synthesis, from generation 2 on; the last one repeats."""
    batch: int = 128
    learning_rate: float = 3e-3
    augment: str = "flip,shift=2"
    """Of the ancestor's training, see `augmentation.parse_augmentation`."""
    offspring_augment: str = "none"
    """The same for every rival's offspring: sparse networks have nothing left to overfit with."""
    distill: float = 1.0
    """Share of the ancestor's outputs in the loss of every rival."""
    environments: tuple[str, ...] = (*("synapses=0.59:global",) * 7, "synapses=1:global")
    """Of each synthesis, from generation 2 on; the last one repeats. After the papers' eighth
    generation none is to come, so that stress has nothing to rehearse there."""
    dense_environments: tuple[str, ...] = ("params=0.678:global",)
    """The same for the rival that only removes whole clusters."""
    encoding: str = "synapse"
    pressure: float = 1000.0
    """So strong that chance decides between equals only."""
    own_stress: str = "cull"
    """Of edgesynth's lineage under stress."""
    stress: str = "bernoulli:0.5"
    """Of the papers' rule for clusters under stress."""
    stressed_ancestor: bool = True
    """The lineage under stress begins with an ancestor of its own, trained from the same initial
    weights on the same batches, but under stress; else its second generation is that of the
    lineage without."""
    threads: int = 1

    def __post_init__(self) -> None:
        self.genome(2), self.dense_genome(2)
        parse_augmentation(self.augment), parse_augmentation(self.offspring_augment)
        parse_stress(self.stress), parse_stress(self.own_stress)
        for text in (*self.environments, *self.dense_environments):
            parse_environment(text)

    def epochs_of(self, generation: int) -> int:
        """Of training for an offspring of `generation`, counted from 1, the ancestor."""
        if generation == 1:
            return self.ancestor_epochs
        return self.epochs[min(generation - 2, len(self.epochs) - 1)]

    def genome(self, generation: int) -> Genome:
        """How an offspring of `generation` is drawn."""
        text = self.environments[min(generation - 2, len(self.environments) - 1)]
        return Genome(parse_environment(text), self.encoding, self.pressure)

    def dense_genome(self, generation: int) -> Genome:
        """The same where only whole clusters die."""
        text = self.dense_environments[min(generation - 2, len(self.dense_environments) - 1)]
        return Genome(parse_environment(text), "cluster", self.pressure)

    def document(self) -> dict[str, object]:
        """The recipe as JSON data."""
        return document_of(self)
