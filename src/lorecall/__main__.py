"""`python -m lorecall`."""

from lorecall.cli import main

main()
