"""`python -m lorecall`."""

from lorecall.cli.app import main

main()
