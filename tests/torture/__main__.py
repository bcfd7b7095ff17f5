"""Runs the campaigns one after the other and prints the verdict: `python -m tests.torture [--only NAME] [--seed N]`.

`CAMPAIGNS` is the list; a new one is a line here and a module beside this one.
"""

import argparse
import random
import sys
import time

from tests.torture import (
    campaign,
    crash,
    election,
    gates,
    http,
    leaders,
    misoperation,
    overload,
    privilege,
    requests,
    restarts,
    simulation,
    watch,
)

CAMPAIGNS: dict[str, campaign.Campaign] = {
    simulation.NAME: campaign.Campaign("20,000 stories in a simulated cluster", 15, simulation.play),
    gates.NAME: campaign.Campaign("planted bugs turn their tests red", 2, gates.run),
    crash.NAME: campaign.Campaign("the operator dies at every write", 12, crash.run),
    watch.NAME: campaign.Campaign("watches and lists fail for three minutes, each in its way", 6, watch.run),
    requests.NAME: campaign.Campaign("requests fail at random while a user works", 12, requests.run),
    restarts.NAME: campaign.Campaign("API server, etcd or the CRD is gone for a while", 15, restarts.run),
    election.NAME: campaign.Campaign("2,000 elections in bad weather, in virtual time", 8, election.run),
    leaders.NAME: campaign.Campaign("the leader of two operators is lost in a write", 25, leaders.run),
    http.NAME: campaign.Campaign("the model server is asked what it should not be", 15, http.run),
    overload.NAME: campaign.Campaign("five times the requests that can be answered", 2, overload.run),
    privilege.NAME: campaign.Campaign("a tenant tries to gain something", 2, privilege.run),
    misoperation.NAME: campaign.Campaign("over a thousand wrong specs in chains", 4, misoperation.run),
}


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for; give 0 when every case has passed."""
    asked = _parse(arguments)
    seed = random.randrange(2**31) if asked.seed is None else asked.seed
    order = campaign.Order(seed=seed, short=asked.short, budget_seconds=asked.minutes * 60, case=asked.case)
    names = asked.only or list(CAMPAIGNS)
    print(f"seed {seed}", flush=True)
    outcomes: dict[str, list[campaign.Row]] = {}
    for name in names:
        chosen = CAMPAIGNS[name]
        print(f"\n=== {name}: {chosen.what} (about {chosen.minutes:g} min) ===", flush=True)
        started = time.monotonic()
        outcomes[name] = chosen.run(order)
        print(f"  {len(outcomes[name])} cases in {time.monotonic() - started:.0f} s", flush=True)
    print("\n" + campaign.table(outcomes))
    return 0 if outcomes and campaign.has_passed(outcomes) else 1


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=sorted(CAMPAIGNS), help="a campaign; may be repeated"
    )
    parser.add_argument("--seed", type=int, help="of everything random; without one it is drawn and printed")
    parser.add_argument("--short", action="store_true", help="the form of a few minutes")
    parser.add_argument(
        "--minutes", type=float, default=60, help="no new case of a campaign starts after this"
    )
    parser.add_argument("--case", default="", help="only cases whose name contains this")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
