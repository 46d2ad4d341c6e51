"""`python -m sturgeon`: the command line."""

from sturgeon.cli.__main__ import main

if __name__ == "__main__":
    main()
