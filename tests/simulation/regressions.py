"""Seeds that have found a defect once, played before any others; each with what it found.

A seed tells the same story only as long as the list of steps stays as it is, so the defects that matter have a test of
their own besides.
"""

SEEDS: dict[int, str] = {
    22: "a process that had lost its leadership applied a number of replicas that nobody asked for any more",
    88: "a status may speak of the generation before: it was true of it",
    127: "a create took over an object of somebody else that had appeared since the look",
    190: "a create of an earlier leader took over the children of a re-created resource",
    206: "somebody else's half of a rollout strategy forbids ours",
    242: "a create took over somebody else's autoscaler",
    100327: "an orphan that is about to be adopted was ready before its watch told that a ReplicaSet had gone",
    700569: "an orphan that lost its label between the look and the write was adopted all the same",
    1628: "a child that had lost our label lost its owner, too, between a live look and the write",
    948: "a record that memory had wrong restarted the pods of its revision",
    332: "two leaders rendered one revision differently",
}
