"""`metrics`: resources are counted by what was last said of each."""

from modelyard_operator import metrics

A, B = ("default", "a"), ("default", "b")


def numbers(resources: metrics.Resources) -> dict[tuple[str, str], float]:
    (family,) = resources.collect()
    return {(sample.labels["condition"], sample.labels["status"]): sample.value for sample in family.samples}


def test_each_resource_counts_once_with_its_latest_conditions() -> None:
    resources = metrics.Resources()
    resources.count(A, {"Ready": "False", "Available": "True", "Stalled": "True"})
    resources.count(B, {"Ready": "False", "Available": "False"})
    resources.count(A, {"Ready": "True", "Available": "True"})
    resources.count(A, {"Ready": "True", "Available": "True"})
    assert numbers(resources) == {
        ("Ready", "True"): 1,
        ("Ready", "False"): 1,
        ("Available", "True"): 1,
        ("Available", "False"): 1,
        ("Stalled", "True"): 0,
    }


def test_one_that_is_gone_counts_no_more() -> None:
    resources = metrics.Resources()
    resources.count(A, {"Ready": "True"})
    resources.forget(A)
    resources.forget(A)
    resources.forget(B)
    assert numbers(resources) == {("Ready", "True"): 0}
