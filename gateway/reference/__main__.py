"""``python -m boardtalk.reference FILE …``: bring documents up to date."""

import sys
from pathlib import Path

from boardtalk.reference import updated

for name in sys.argv[1:]:
    path = Path(name)
    path.write_text(updated(path.read_text()))
