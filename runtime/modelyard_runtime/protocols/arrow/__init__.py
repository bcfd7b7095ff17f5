"""Arrow's IPC streams, read and written without a library of theirs (docs/adr/0019)."""
