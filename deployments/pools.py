"""Which work pools this product has, and how many runs each takes at once."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK_POOLS = {"builds": 3, "operations": 5}
