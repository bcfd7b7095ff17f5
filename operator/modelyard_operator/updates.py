"""Newer runtime images: which model could have one, which wants it, and how far it is.

A runtime class' image is the administrator's; that he offers another one restarts nothing. With
`spec.runtime.updatePolicy: Auto` a model that is at rest is rendered anew from the same intent, as another revision,
when `turnstile` gives it its turn: one model of the whole operator at a time (docs/adr/0007). Called by `decision`.
Pure.
"""

import enum
from collections.abc import Sequence

import msgspec

from modelyard_operator import api, catalogue, config, naming, objects, revisions, rollout
from modelyard_operator.objects import Manifest
from modelyard_operator.observed import Observed


class State(enum.Enum):
    """How far one model is with its update."""

    IDLE = enum.auto()  # wants none, or is not to be disturbed
    DUE = enum.auto()  # wants one and waits for its turn
    UNDERWAY = enum.auto()
    FAILED = enum.auto()  # and keeps the others from following


class Turn(enum.Enum):
    """What `turnstile` has to say to a model."""

    WAITING = enum.auto()
    GRANTED = enum.auto()
    HALTED = enum.auto()  # another model's update has failed


class Update(msgspec.Struct, frozen=True):
    """One model and the image of its class.

    Attributes:
        image: what runs, or is about to; empty when nothing is stored and no class would do.
        newer: what the class offers instead; empty when it is the same.
        state: how far the model is.
        turn: what it has been told.
    """

    image: str = ""
    newer: str = ""
    state: State = State.IDLE
    turn: Turn = Turn.WAITING


def newest(model_deployment: api.ModelDeployment, stored: Sequence[Manifest]) -> Manifest | None:
    """Give the newest stored revision that has the intent of the spec, whatever its image; None when there is none."""
    same = revisions.of_intent(model_deployment, stored)
    return max(same, key=lambda each: (each["revision"], objects.name(each)), default=None)


def judge(
    model_deployment: api.ModelDeployment,
    target: rollout.Target,
    seen: Observed,
    settings: config.OperatorConfig,
) -> Update:
    """Give how a model stands to the image that its class offers."""
    wanted = newest(model_deployment, seen.revisions)
    offered = catalogue.find(model_deployment, settings)
    if offered is None:
        return Update()
    if wanted is None:
        return Update(image=offered.image)  # the one that it is rendered with now
    newer = offered.image if image(wanted) != offered.image else ""
    running = revisions.find(target.revision, seen.revisions) or wanted
    state = _state(model_deployment, target, wanted, seen)
    if newer and state is State.FAILED:
        state = State.DUE  # what failed may work with the newest image
    elif newer and state is State.IDLE and _may_be_disturbed(model_deployment, target, seen):
        state = State.DUE
    return Update(image=image(running), newer=newer, state=state)


def revision_for(model_deployment: api.ModelDeployment, update: Update, stored: Sequence[Manifest]) -> str:
    """Give the revision that runs the newer image: one that is there already, or the name of a new one."""
    same = revisions.of_intent(model_deployment, stored)
    known = next((objects.name(each) for each in same if image(each) == update.newer), "")
    return known or revisions.name(model_deployment, update.newer)


def image(stored: Manifest) -> str:
    """Give the image of a revision's serving container, empty when its template has none."""
    for container in stored["data"]["template"]["spec"]["containers"]:
        if container["name"] == naming.SERVE:
            return str(container["image"])
    return ""


def explain(model_deployment: api.ModelDeployment, update: Update) -> str:
    """Say what becomes of a newer image, empty when there is none."""
    if not update.newer:
        return ""
    if model_deployment.spec.runtime.update_policy == "Manual":
        return "A newer image is offered. Set spec.runtime.updatePolicy to Auto to have it rolled out."
    if update.turn is Turn.HALTED:
        return (
            "A newer image is offered, and updates are halted because the update of another model has failed; the"
            " administrator finds it in the operator's log."
        )
    if update.state is State.DUE:
        return "A newer image is offered and is rolled out when it is this model's turn."
    return "A newer image is offered and is rolled out when the model is ready and not paused."


def _state(
    model_deployment: api.ModelDeployment, target: rollout.Target, wanted: Manifest, seen: Observed
) -> State:
    """Give how far an update is that has been begun; only with Auto, so that Manual lets the others pass."""
    spec = model_deployment.spec
    if spec.runtime.update_policy == "Manual" or spec.paused:
        return State.IDLE
    is_update = len(revisions.of_intent(model_deployment, seen.revisions)) > 1
    name = objects.name(wanted)
    if not is_update or revisions.is_complete(name, seen):
        return State.IDLE
    has_failed = target.failed is not None or rollout.failure(name, seen) is not None
    return State.FAILED if has_failed else State.UNDERWAY


def _may_be_disturbed(model_deployment: api.ModelDeployment, target: rollout.Target, seen: Observed) -> bool:
    spec = model_deployment.spec
    is_asked_for = spec.runtime.update_policy == "Auto" and not spec.paused
    is_wanted = target.failed is None
    return (
        is_asked_for
        and is_wanted
        and rollout.is_settled(target.revision, seen, model_deployment.fewest_replicas)
    )
