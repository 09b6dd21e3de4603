"""What all tests need."""

import signal

from evolve_digits import parent as parent

# A shell starts background jobs with Ctrl-C ignored, and programs hand that on to those they start.
# The tests that press Ctrl-C need it heard, wherever they are run from.
signal.signal(signal.SIGINT, signal.default_int_handler)
