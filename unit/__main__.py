"""python -m unit: see unit/cli.py."""

import sys

from unit.cli import main

if __name__ == "__main__":
    sys.exit(main())
