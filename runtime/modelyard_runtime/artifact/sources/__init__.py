"""The places artifacts come from: one module per kind, chosen by `sources.opening`, each a `source.Source`."""
