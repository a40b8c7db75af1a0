"""The tests; `make test` runs them all."""

import warnings

# The PostgreSQL of the wheel asks for a folder that containers lack, in each process anew, and
# needs none: it is given another one.
warnings.filterwarnings("ignore", "XDG_RUNTIME_DIR is not set")
