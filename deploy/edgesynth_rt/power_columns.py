"""What a power report needs of each tegrastats sample, kept in columns (Python 3.6, numpy).

A `Sample` takes kilobytes, a row of columns some hundred bytes: a log of a week fits.
"""

from array import array

import numpy as np

from edgesynth_rt.rails import UNCONNECTED
from edgesynth_rt.tegrastats import POWERED_OFF_CELSIUS


class Columns:
    """Columns of numbers by kind and name; a sample that lacks a value has NaN there.

    times         (arrival_s, prefix, stamp) of every sample
    line_numbers  where the samples stand in their file
    first         the first sample, which tells what module it is
    repeated      names of rails that came twice in one line, where they count as missing
    """

    def __init__(self):
        self.times = []
        self.line_numbers = []
        self.first = None
        self.repeated = set()
        self._kinds = {}

    def __len__(self):
        return len(self.times)

    def add(self, sample):
        """Append one tegrastats sample."""
        if self.first is None:
            self.first = sample
        self._add_rails(sample)
        for temperature in sample.temperatures:
            if temperature.celsius != POWERED_OFF_CELSIUS:
                self._put("celsius", temperature.name, temperature.celsius)
        self._add_engine("gpu", sample.gpu)
        self._add_engine("emc", sample.emc)
        if sample.cores:
            self._put("cores_on", "cpu", sum(core is not None for core in sample.cores))
        if sample.edp_limit is not None:
            self._put("edp_limit", "edp", sample.edp_limit)
        self.times.append((sample.arrival_s, sample.prefix, sample.stamp))
        self.line_numbers.append(sample.line_number)

    def _add_rails(self, sample):
        for rail in sample.rails:
            if rail.name == UNCONNECTED:
                continue
            if not self._put("power_mw", rail.name, rail.power_mw):
                self.repeated.add(rail.name)
            if rail.average_mw is not None:
                self._put("average_mw", rail.name, rail.average_mw)

    def _add_engine(self, name, engine):
        if engine is not None and engine.load_percent is not None:
            self._put("load_percent", name, engine.load_percent)
        if engine is not None and engine.clocks_mhz:
            # a gated cluster of the GPU reads 0 beside the others
            self._put("clock_mhz", name, max(engine.clocks_mhz))

    def names(self, kind):
        """Names of all columns of `kind`, in the order of their appearance."""
        return tuple(self._kinds.get(kind, {}))

    def column(self, kind, name):
        """The column as float64 of shape (samples,), NaN where a sample has no value."""
        dense = np.full(len(self), np.nan)
        if name in self._kinds.get(kind, {}):
            indices, values = self._kinds[kind][name]
            dense[np.array(indices, dtype=np.intp)] = values
        return dense

    def _put(self, kind, name, value):
        """Set the value of the sample that is being added; a second value makes it NaN."""
        columns = self._kinds.setdefault(kind, {})
        indices, values = columns.setdefault(name, (array("q"), array("d")))
        if indices and indices[-1] == len(self):
            values[-1] = np.nan
            return False
        indices.append(len(self))
        values.append(value)
        return True
