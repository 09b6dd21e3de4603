"""Data sets: from files on disk to three disjoint, seeded splits of raw images."""
