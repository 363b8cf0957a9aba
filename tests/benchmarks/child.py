"""``python -m tests.benchmarks.child MODULE:FUNCTION ARGUMENTS RESULT``: one side of a benchmark."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

if __name__ == "__main__":
    side, arguments, result = sys.argv[1:]
    module, _, function = side.partition(":")
    measured = getattr(importlib.import_module(f"tests.benchmarks.sides.{module}"), function)(
        **json.loads(arguments)
    )
    Path(result).write_text(json.dumps(measured))
