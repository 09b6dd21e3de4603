"""edgesynth: networks that meet an operational requirement on a Jetson, with the proof."""

from edgesynth_rt import __version__ as __version__
