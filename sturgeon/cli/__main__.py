"""`python -m sturgeon.cli`: the command where its script is not on the PATH."""

from sturgeon.cli.app import main

main()
