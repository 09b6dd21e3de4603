"""Reproductions: what papers claim beside what is obtained here, all rivals trained alike."""

from edgesynth.workflows.reproduce.recipe import Recipe as Recipe
from edgesynth.workflows.reproduce.run import ReproductionPlan as ReproductionPlan
from edgesynth.workflows.reproduce.run import reproduce as reproduce
