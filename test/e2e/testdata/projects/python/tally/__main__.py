import sys
from pathlib import Path

from tally import page

sys.stdout.write(page(Path(sys.argv[1]).read_text(encoding="utf-8")))
