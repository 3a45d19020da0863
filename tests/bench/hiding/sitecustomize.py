"""Put on a program's path by the benchmark: the modules named in the environment are not there."""

import os
import sys

for name in os.environ.get("HIDDEN_MODULES", "").split():
    sys.modules[name] = None  # type: ignore[assignment] - an import of it raises
