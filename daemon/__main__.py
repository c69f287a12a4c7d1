"""``python -m quietscope.daemon``: the command line, and the entry of the child processes."""

from quietscope.daemon.cli import main

if __name__ == "__main__":
    main()
