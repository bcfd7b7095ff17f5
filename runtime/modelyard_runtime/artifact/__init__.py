"""From a model URI to verified files on disk: the `fetch` half of the runtime. See `artifact.fetch` for the order."""
