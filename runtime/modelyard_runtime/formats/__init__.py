"""Model formats: one adapter per format behind the `Model` protocol of `formats.model`."""
