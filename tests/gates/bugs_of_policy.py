"""The planted bugs in the administrator's rules; part of `bugs.BUGS`."""

from tests.gates.bug import OPERATOR, Bug, scenario, unit

_CORPUS = "test_a_uri_is_covered_by_a_pattern_or_is_not"
_MADE_LATER = "a rule that is made later is told, and what serves is scaled, repaired and stopped as before"
_DOTS = "https://models.example/team/%2e%2e/other"

BUGS: tuple[Bug, ...] = (
    Bug(
        "a revision that was left and breaks a rule by now is gone back to",
        f"{OPERATOR}/decision.py",
        "not is_rolled_back and revisions.deployed(visit.ours) != visit.revision",
        "not is_rolled_back and not revisions.find(visit.revision, visit.ours.revisions)",
        scenario("a revision that was left and that a rule forbids by now is not gone back to"),
    ),
    Bug(
        "a rule that is made later takes a model that serves out of the operator's care",
        f"{OPERATOR}/decision.py",
        "if broken is not None and is_to_start:",
        "if broken is not None:",
        scenario(_MADE_LATER),
    ),
    Bug(
        "a failed rollout goes back to a revision that a rule forbids by now",
        f"{OPERATOR}/decision.py",
        "    target = rollback.within_rules(target, model_deployment, wanted, ours, settings.policy)\n",
        "",
        scenario("a failed update is not rolled back to a revision that a rule forbids by now"),
    ),
    Bug(
        "a rule that is made after a rollback has the failed revision rolled out again",
        f"{OPERATOR}/rollback.py",
        "if revisions.deployed(seen) == target.revision:",
        "if not target.revision:",
        scenario(
            "a rule that is made after a rollback is told, and what was gone back to serves and scales on"
        ),
    ),
    Bug(
        "a rule that is broken by what serves is told to nobody",
        f"{OPERATOR}/decision.py",
        "        visit = msgspec.structs.replace(visit, outcome=broken)\n",
        "        pass\n",
        scenario(_MADE_LATER),
    ),
    Bug(
        "an encoded way out of a folder passes for a name in it",
        f"{OPERATOR}/uri_patterns.py",
        '_DOTS = r"([.]|%(25)*2[eE]|%[cC]0%[aA][eE]){1,2}"',
        '_DOTS = r"[.]{1,2}"',
        unit(
            "test_policy",
            f"{_CORPUS}[Case(pattern='https://models.example/team/', uri='{_DOTS}', is_allowed=False)]",
        ),
    ),
    Bug(
        "a dot in a pattern stands for any letter",
        f"{OPERATOR}/uri_patterns.py",
        'any_letters if each == "*" else f"[{each}{each.swapcase() if folds and each.isalpha() else \'\'}]"',
        'any_letters if each == "*" else f"[{each}{each.swapcase()}]" if folds and each.isalpha() else each',
        unit(
            "test_policy",
            f"{_CORPUS}[Case(pattern='https://models.example/team/', uri='https://modelsxexample/team/x',"
            " is_allowed=False)]",
        ),
    ),
    Bug(
        "a namespace that nothing is listed for may fetch anything",
        f"{OPERATOR}/policy.py",
        "    allowed = listed(policy.allowed_uris, namespace)\n",
        '    allowed = listed(policy.allowed_uris, namespace) or ("s3://*/",)\n',
        unit("test_policy", "test_once_something_is_listed_what_is_not_is_refused"),
    ),
    Bug(
        "the pod doesn't ask the rules again",
        "runtime/modelyard_runtime/artifact/fetch.py",
        "    policy.check(options)\n",
        "",
        "tests/unit/runtime/test_artifact_policy.py::test_nothing_is_opened_that_they_forbid",
    ),
    Bug(
        "whoever signs with a key of his own passes for the administrator's choice",
        "runtime/modelyard_runtime/artifact/policy.py",
        "for fingerprint, key in keys.items() if fingerprint in rules.allowed_signature_keys)",
        "for key in keys.values())",
        "tests/unit/runtime/test_artifact_policy.py::test_a_key_that_is_not_listed_vouches_for_nothing",
    ),
    Bug(
        "the whole pod gets the identity that fetch needs",
        f"{OPERATOR}/desired/pod.py",
        "        annotations |= naming.IDENTITY_FOR_FETCH_ONLY\n",
        "        pass\n",
        scenario(
            "the pods of a class with an identity run under its name, without a token, and only fetch is given it"
        ),
    ),
)
