"""`python -m tailmerge`."""

from tailmerge.cli import main

main()
