"""Reports: records and histories to one self-contained page."""

from edgesynth.report.page import build_report as build_report
