"""The attempts of a tenant as a campaign: one row for each thing he tries to gain by a ModelDeployment.

The same as tests/integration/test_deputy.py, for a verdict in one table with the other campaigns.
"""

import asyncio
import tempfile
from pathlib import Path

from tests.support import deputy_world
from tests.torture import campaign, rig

NAME = "privilege"


def run(order: campaign.Order) -> list[campaign.Row]:
    """Make all attempts on a control plane of their own; give those whose name contains the order's case."""
    with rig.control_plane(NAME) as kubeconfig, tempfile.TemporaryDirectory() as folder:
        wrong = asyncio.run(deputy_world.make_all(kubeconfig, Path(folder)))
    return [
        campaign.Row(name, not problems, "; ".join(problems), campaign.replay(NAME, order, name))
        for name, problems in wrong.items()
        if order.case in name
    ]
