"""`python3 edgesynth_rt.pyz COMMAND ...`, also `python3 -m edgesynth_rt COMMAND ...`."""

import sys

from edgesynth_rt.command_line import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
