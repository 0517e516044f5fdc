"""What is kept beside the database to answer at once; rebuilt from it whenever it is lost."""

from __future__ import annotations

import os

# One worker is one core: a small matrix product that is spread over threads costs ten times as much. Read when numpy is first imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
