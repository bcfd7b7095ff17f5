"""The demo: two trained models, a real cluster, predictions checked against scikit-learn. `make demo`, `make demo-down`."""
