"""`python -m hearthwatch`."""

from hearthwatch.cli import main

if __name__ == "__main__":
    main()
