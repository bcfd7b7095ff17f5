"""Measurements that take longer than a test may, each a command of its own: `python -m bench.operator_scale`.

They measure the product as it is shipped, print a table, and write the same table into docs/benchmarks.md on demand.
"""
