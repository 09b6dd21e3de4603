"""Statistics of latencies and of accuracy, with the uncertainty stated (Python 3.6, numpy)."""

import math

import numpy as np

from edgesynth_rt.errors import MeasurementError

BATCHES = 20
MIN_SAMPLES = 2 * BATCHES
LAYOUT_SHARE = 0.01
"""Two loads of one file differ by up to this share, because memory is laid out anew each time
(Mytkowicz et al., "Producing wrong data without doing anything obviously wrong", ASPLOS 2009;
0.1 to 0.8 % between two onnxruntime sessions of one small network). More samples do not help."""
_T_975_19 = 2.0930240544082634  # 97.5 % quantile of Student's t with BATCHES - 1 = 19 degrees
_Z_975 = 1.959963984540054  # 97.5 % quantile of the normal distribution

PERCENTILES = (90, 95, 99)


def percentile(ascending, percent):
    """The latency that `percent` of the ascending samples do not exceed, as trtexec defines it.

    It drops int((1 - percent / 100) * n) samples from the top and takes the largest one left, so
    the figure is always one that was measured. trtexec computes in single precision, and so does
    this (github:NVIDIA/TensorRT, samples/common/sampleReporting.cpp, findPercentile); the
    rounding shows: of 100 samples the 99th percentile is the largest, not the second largest.
    """
    if not 0 <= percent <= 100:
        raise ValueError("percentile %r is not in 0..100" % percent)
    n = len(ascending)
    share = np.float32(1) - np.float32(percent) / np.float32(100)
    return float(ascending[max(n - 1 - int(share * np.float32(n)), 0)])


def summarize(latencies_ms, percentiles=PERCENTILES):
    """`mean p50 p90 p95 p99 min max n` of the latencies, and `pX` for further percentiles.

    p50 is the median as trtexec prints it (the mean of the middle two where n is even), the other
    percentiles are those of `percentile`. Raises MeasurementError when there is no sample, or one
    that is not a positive time.
    """
    samples = np.sort(np.asarray(latencies_ms, dtype=np.float64))
    if not len(samples):
        raise MeasurementError("no iteration was measured; raise --iterations or --duration")
    if not np.isfinite(samples).all() or samples[0] <= 0:
        raise MeasurementError(
            "%d of %d iterations took no measurable time; measure a larger batch with --batch"
            % (int((samples <= 0).sum()), len(samples))
        )
    summary = {"mean": float(samples.mean()), "p50": float(np.median(samples))}
    for percent in sorted(set(PERCENTILES) | set(percentiles) - {50}):
        summary["p%g" % percent] = percentile(samples, percent)
    summary.update(min=float(samples[0]), max=float(samples[-1]), n=len(samples))
    return summary


def difference(base_ms, other_ms, paired, statistic="p50"):
    """How much `other` differs from `base`, with 95 % confidence intervals.

    Latencies of consecutive iterations are not independent (clocks, caches and neighbours change
    slowly), so an interval from single iterations is far too narrow. This uses batch means
    (Schmeiser, "Batch size effects in the analysis of simulation output", Operations Research 30,
    1982): the statistic of each of 20 consecutive batches, and Student's t over those.

    base_ms, other_ms: latencies in the order of measuring, at least 40 each.
    paired: both come from one interleaved run, and equal indices were measured side by side; then
    what disturbed both cancels. statistic: "p50" or "mean".

    Returns {"statistic", "difference_ms", "ci95_ms": [low, high], "ratio", "ratio_ci95", "paired",
    "shown"}. The change is the mean over the batches, so it may differ in the last digits from the
    difference of two summaries. `shown` is False when the interval holds 0, or when it does not
    leave the 1 % that the layout of memory alone can make (`LAYOUT_SHARE`).
    Raises MeasurementError when there are too few samples, or pairs do not match.
    """
    base, other = (np.asarray(values, dtype=np.float64) for values in (base_ms, other_ms))
    if min(len(base), len(other)) < MIN_SAMPLES:
        raise MeasurementError(
            "an interval needs %d iterations, there are %d; raise --iterations"
            % (MIN_SAMPLES, min(len(base), len(other)))
        )
    if paired and len(base) != len(other):
        raise MeasurementError(
            "paired latencies differ in number: %d and %d" % (len(base), len(other))
        )
    value = {"p50": np.median, "mean": np.mean}[statistic]
    base_batches, other_batches = _batches(base, value), _batches(other, value)
    change, half = _interval(base_batches, other_batches, paired)
    log_change, log_half = _interval(np.log(base_batches), np.log(other_batches), paired)
    low, high = change - half, change + half
    ratios = [math.exp(log_change - log_half), math.exp(log_change + log_half)]
    beyond_layout = ratios[1] < 1 - LAYOUT_SHARE or ratios[0] > 1 + LAYOUT_SHARE
    return {
        "statistic": statistic,
        "difference_ms": change,
        "ci95_ms": [low, high],
        "ratio": math.exp(log_change),
        "ratio_ci95": ratios,
        "paired": bool(paired),
        "shown": beyond_layout and not low <= 0 <= high,
    }


def wilson(right, n):
    """95 % interval of a share, `right` of `n` (Wilson, JASA 22, 1927): (low, high)."""
    if not 0 <= right <= n or n < 1:
        raise ValueError("%r of %r is no share" % (right, n))
    z2 = _Z_975**2
    centre = (right + z2 / 2) / (n + z2)
    half = _Z_975 / (n + z2) * math.sqrt(right * (n - right) / n + z2 / 4)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def share_difference(base_right, base_n, other_right, other_n):
    """95 % interval of other's share minus base's: (low, high).

    Newcombe's hybrid of two Wilson intervals (Statistics in Medicine 17, 1998, method 10). Both
    shares count as independent; on the same images the true interval is narrower.
    """
    p, q = base_right / base_n, other_right / other_n
    (p_low, p_high), (q_low, q_high) = wilson(base_right, base_n), wilson(other_right, other_n)
    low = q - p - math.sqrt((q - q_low) ** 2 + (p_high - p) ** 2)
    high = q - p + math.sqrt((q_high - q) ** 2 + (p - p_low) ** 2)
    return low, high


def _batches(samples, value):
    return np.asarray([value(batch) for batch in np.array_split(samples, BATCHES)])


def _interval(base, other, paired):
    """(mean change, half of its 95 % interval) from the statistics of equally many batches.

    Unpaired, Welch's degrees of freedom lie between 19 and 38; 19 is taken, the wider choice.
    """
    change = float(np.mean(other) - np.mean(base))
    if paired:
        variance = _variance_of_mean(other - base)
    else:
        variance = _variance_of_mean(other) + _variance_of_mean(base)
    return change, _T_975_19 * math.sqrt(variance)


def _variance_of_mean(batches):
    """Variance of the batches' mean, widened where neighbouring batches still agree.

    A disturbance that outlasts a batch shows as a positive lag-1 correlation r; for a first-order
    autoregressive series the variance of the mean then grows by (1 + r) / (1 - r).
    """
    deviations = batches - batches.mean()
    squares = float(np.dot(deviations, deviations))
    if squares == 0:
        return 0.0
    r = min(max(float(np.dot(deviations[1:], deviations[:-1])) / squares, 0.0), 0.9)
    return squares / (len(batches) - 1) / len(batches) * (1 + r) / (1 - r)
