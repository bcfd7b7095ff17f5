"""Long campaigns against the operator: `python -m tests.torture` (or `make torture`).

The short form of each campaign is part of `make test`; here they take their time. Nothing of the product imports this.
"""
