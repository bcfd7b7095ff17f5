"""Protocols: request bytes → the model's input table, predictions → response bytes. No inference, no HTTP."""
