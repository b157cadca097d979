"""python -m unit: see unit/cli."""

import sys

from unit.cli import main

if __name__ == "__main__":
    sys.exit(main())
