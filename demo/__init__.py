"""The demo: two models on a real cluster, predictions checked against scikit-learn. `make demo`, `make demo-down`."""
