"""`python -m portal.cli`: the same as the command `portal`."""

from portal.cli.main import main

main()
