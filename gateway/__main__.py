"""`python -m boardtalk`."""

from boardtalk.cli import main

main()
