"""`python -m eie`, the same as the command `eie`."""

import sys

from eie.cli import main

if __name__ == "__main__":
    sys.exit(main())
