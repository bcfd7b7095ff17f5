"""Measurements: what is computed and shown, without measuring."""
