"""`python -m bootstrap`: the same as the console script."""

from bootstrap.cli import main

main()
