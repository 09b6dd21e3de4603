"""Reports: records and histories to one self-contained page."""
