"""Runs the command line as `python -m millrace`."""

from millrace.apps.cli import main

if __name__ == "__main__":
    main()
