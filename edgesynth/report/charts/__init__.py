"""Charts as inline SVG without scripts, one module per kind.

Every chart is drawn 360 units wide with text of 12 units, the narrowest phone; where there is more
room the style sheet makes the text smaller in these units, so that labels only ever gain air.
"""

from edgesynth.report.charts.chart import Chart as Chart
from edgesynth.report.charts.chart import Legend as Legend
