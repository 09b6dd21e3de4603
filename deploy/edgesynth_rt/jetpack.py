"""Which JetPack a release of Jetson Linux (L4T) belongs to (Python 3.6).

NVIDIA's JetPack archive, as jetson_stats keeps it in jetson_variables.py.
"""

_RELEASES = {
    "28.1": "3.1",
    "28.2": "3.2",
    "28.2.1": "3.3",
    "28.4": "3.3.3",
    "32.1": "4.2",
    "32.2": "4.2.1",
    "32.2.1": "4.2.2",
    "32.2.3": "4.2.3",
    "32.3.1": "4.3",
    "32.4.3": "4.4",
    "32.4.4": "4.4.1",
    "32.5": "4.5",
    "32.5.1": "4.5.1",
    "32.6.1": "4.6",
    "32.7.1": "4.6.1",
    "32.7.2": "4.6.2",
    "32.7.3": "4.6.3",
    "32.7.4": "4.6.4",
    "32.7.5": "4.6.5",
    "32.7.6": "4.6.6",
    "35.1": "5.0.2",
    "35.2.1": "5.1",
    "35.3.1": "5.1.1",
    "35.4.1": "5.1.2",
    "35.5": "5.1.3",
    "35.6": "5.1.4",
    "36.2": "6.0 DP",
    "36.3": "6.0",
    "36.4": "6.1",
    "36.4.3": "6.2",
    "36.4.4": "6.2.1",
    "36.5": "6.2.2",
    "38.2": "7.0",
    "38.4": "7.1",
    "39.2": "7.2",
}


def jetpack_of(l4t):
    """JetPack of an L4T version such as "32.7.1", None where it is not known or no Jetson."""
    if l4t is None:
        return None
    for known in (l4t, l4t[:-2] if l4t.endswith(".0") else l4t):
        if known in _RELEASES:
            return _RELEASES[known]
    return None
