"""``python -m meshvpn`` is the command ``meshvpn``."""

import sys

from meshvpn.cli import main

if __name__ == "__main__":
    sys.exit(main())
