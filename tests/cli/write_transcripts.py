"""Write every transcript, or those named, as the commands answer now; review the difference."""

import sys
import tempfile
from pathlib import Path

from tests.cli.transcripts import FILES, read, replay, write

if __name__ == "__main__":
    for path in FILES:
        if len(sys.argv) < 2 or path.stem in sys.argv[1:]:
            with tempfile.TemporaryDirectory() as folder:
                path.write_text(write(list(replay(read(path), Path(folder).resolve()))))
