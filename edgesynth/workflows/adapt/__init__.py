"""Dynamic inference: a network, or several, to a bundle that does less work for easy inputs."""

from edgesynth.workflows.adapt.cascade import CascadePlan as CascadePlan
from edgesynth.workflows.adapt.cascade import adapt_cascade as adapt_cascade
from edgesynth.workflows.adapt.effort import EffortPlan as EffortPlan
from edgesynth.workflows.adapt.effort import adapt_effort as adapt_effort
from edgesynth.workflows.adapt.exits import ExitsPlan as ExitsPlan
from edgesynth.workflows.adapt.exits import adapt_exits as adapt_exits
from edgesynth.workflows.adapt.wanted import Wanted as Wanted
