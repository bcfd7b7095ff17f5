"""What resources are rendered into, to the letter. `python -m tests.support.cluster_golden` writes the files anew."""

import pytest

from tests.support import cluster_golden


@pytest.mark.parametrize("case", cluster_golden.CASES)
def test_a_resource_is_rendered_as_written_down(case: str) -> None:
    assert cluster_golden.render(cluster_golden.body(case)) == cluster_golden.expected(case)
