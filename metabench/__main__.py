"""`python -m metabench`: the command line, of the Python that is asked."""

from metabench.cli import main

if __name__ == "__main__":
    main()
