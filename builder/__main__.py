"""`python -m builder`: the same as `persona`."""

import sys

from builder.cli import main

sys.exit(main())
