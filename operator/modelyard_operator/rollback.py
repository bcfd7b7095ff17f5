"""Whether the administrator's rules let a failed rollout go back: what was ready once may break a rule made since.

Called by `decision`, once `rollout` has chosen. The rules win: what they forbid is not started anew, and the failed
revision is held instead, beside whatever still serves. A revision that the Deployment runs already is left alone, as
every other that a later rule forbids (docs/adr/0018). Pure.
"""

import msgspec

from modelyard_operator import api, policy, policyspec, revisions, rollout, updates
from modelyard_operator.objects import Manifest
from modelyard_operator.observed import Observed


def within_rules(
    target: rollout.Target,
    model_deployment: api.ModelDeployment,
    wanted: str,
    seen: Observed,
    rules: policyspec.Policy,
) -> rollout.Target:
    """Give what to run: `target`, or `wanted` where a rule forbids to go back; it says which rule."""
    earlier = None if target.failed is None else revisions.find(target.revision, seen.revisions)
    broken = "" if earlier is None else _broken(earlier, model_deployment.identity, rules)
    if not broken:
        return target
    if revisions.deployed(seen) == target.revision:
        told = f"Revision {target.revision} breaks a rule by now and is left as it runs: {broken}"
        return msgspec.structs.replace(target, forbidden=told)
    told = f"It is not rolled back to {target.revision}, which breaks a rule by now: {broken}"
    return rollout.Target(wanted, forbidden=told)


def _broken(stored: Manifest, identity: api.Identity, rules: policyspec.Policy) -> str:
    """Give the rule that a stored revision breaks, empty when it breaks none."""
    asked_for = revisions.asked_for(identity, stored)
    if asked_for is not None:
        found = policy.violation(asked_for, updates.image(stored), rules)
        return found.message if found else ""
    # Another version of the operator has written it. Without rules nothing has to be known about it.
    return "" if rules == policyspec.Policy() else "policy: this operator can't read what it asks for."
