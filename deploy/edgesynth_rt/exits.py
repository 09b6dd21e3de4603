"""Where inputs left a bundle, beside where they were expected to: an alarm for drift (Python 3.6).

A policy is chosen on calibration data. When the inputs of the field are others, they leave
elsewhere, and cost and accuracy are no longer what was promised, which nobody would see otherwise.
"""

import math

import numpy as np

from edgesynth_rt.samples import run_samples
from edgesynth_rt.staged import STAGE

Z = 4.0
"""Standard deviations: chance alone raises the alarm in fewer than 1 of 10,000 comparisons."""
SLACK = 0.01
"""A share that differs by less is no drift, however many samples there are."""


def count_left(bundle, left):
    """{stage id: number of samples that left there}; left: indices of stages, (n,)."""
    counts = np.bincount(left, minlength=len(bundle.stages))
    return {stage.id: int(counts[k]) for k, stage in enumerate(bundle.stages)}


def exits_of(bundle, runner, counted=None, source="golden inputs"):
    """A record's `exits`, None for a bundle without a policy.

    counted: `count_left` of a data set that `source` names; without it the golden inputs run.
    `timed` are the shares of the inputs that latencies were taken with.
    """
    policy = bundle.policy
    if policy is None:
        return None
    inputs, _ = bundle.golden()
    left = run_samples(runner, inputs, runner.batch or 1)[STAGE]
    golden = count_left(bundle, left)
    counts = counted or golden
    n = sum(counts.values())
    shares = {stage: count / float(n) for stage, count in counts.items()}
    document = {
        "policy": policy.kind,
        "counted_on": source if counted else "golden inputs",
        "n": n,
        "shares": shares,
        "timed": {stage: count / float(len(left)) for stage, count in golden.items()},
        "expected": policy.expected,
        "drift": drift(shares, n, policy.expected, policy.expected_n),
    }
    if policy.costs is not None:
        document["mean_cost"] = {"unit": policy.unit, "value": mean_cost(policy, shares)}
    return document


def drift(shares, n, expected, expected_n):
    """{"alarm", "largest", "stage"}: the stage whose share differs most; None without expectation.

    The alarm is raised where a share lies further from its expectation than chance explains:
    Z standard deviations of the difference of two shares, and SLACK besides.
    """
    if expected is None:
        return None
    worst, stage, alarm = 0.0, None, False
    for name, share in shares.items():
        wanted = expected.get(name, 0.0)
        pooled = (share * n + wanted * expected_n) / float(n + expected_n)
        deviation = math.sqrt(pooled * (1 - pooled) * (1.0 / n + 1.0 / expected_n))
        distance = abs(share - wanted)
        alarm = alarm or distance > Z * deviation + SLACK
        if stage is None or distance > worst:
            worst, stage = distance, name
    return {"alarm": alarm, "largest": worst, "stage": stage}


def mean_cost(policy, shares):
    """Mean cost of a sample by where samples left.

    Exact for exits, where every stage before the last was run; None for a cascade, where the way
    to a network is not told by the network.
    """
    if policy.kind != "exits":
        return None
    total = 0.0
    spent = 0.0
    for stage, cost in zip(policy.stages, policy.costs):
        spent += cost
        total += shares.get(stage, 0.0) * spent
    return total


def doubt_of(exits):
    """One sentence for a record's `validity` where the alarm is raised, else None."""
    if exits is None or exits["drift"] is None or not exits["drift"]["alarm"]:
        return None
    stage = exits["drift"]["stage"]
    return (
        "inputs leave elsewhere than expected: %.1f %% at %s instead of %.1f %%; the policy was "
        "calibrated on other data" % (
            100 * exits["shares"][stage], stage, 100 * exits["expected"].get(stage, 0.0)
        )
    )  # fmt: skip
