"""An HTTP server of files that costs as little as one can: the kernel sends from the page cache.

Run by `bench.fetch` as a process of its own, for curl and `fetch` alike. It knows single ranges and strong ETags.
"""

import http.server
import os
import re
import sys
from pathlib import Path
from typing import ClassVar

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_STEP_BYTES = 16 * 1024**2


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers GET with a file of the folder."""

    protocol_version = "HTTP/1.1"
    folder: ClassVar[Path]

    def do_GET(self) -> None:
        """Sends a file, or the range of it that is asked for."""
        with (self.folder / Path(self.path).name).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            match = _RANGE.fullmatch(self.headers.get("range", ""))
            start = int(match[1]) if match else 0
            end = min(int(match[2]) + 1, size) if match and match[2] else size
            self.send_response(206 if match else 200)
            if match:
                self.send_header("content-range", f"bytes {start}-{end - 1}/{size}")
            self.send_header("etag", f'"{size}"')
            self.send_header("content-length", str(end - start))
            self.end_headers()
            self.wfile.flush()
            while start < end:
                start += os.sendfile(
                    self.connection.fileno(), file.fileno(), start, min(end - start, _STEP_BYTES)
                )

    def log_message(self, *_: object) -> None:
        """Says nothing."""


if __name__ == "__main__":
    Handler.folder = Path(sys.argv[1])
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
