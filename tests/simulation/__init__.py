"""The real reconciler in a simulated cluster that means ill: thousands of short stories, each told by one seed.

`run.play(seed)` is one story. Short form: tests/unit/operator/test_simulation.py; long form: the campaign `simulation`
of tests/torture. One story again, in words: `python -m tests.simulation SEED`.
"""
