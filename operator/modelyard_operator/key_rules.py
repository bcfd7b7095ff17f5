"""Rules about the keys and values that Kubernetes itself restricts: labels, annotations, taints, node labels, devices.

They say at once, and about the field of the ModelDeployment, what the API server would otherwise say later about a
child that nobody wrote. `fields`, `podspec` and `spec` attach them. Pure.
"""

import re

from modelyard_operator import quantities, rules

_DNS = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_PART = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_KEY = rf"^({_DNS}/)?{_PART}$"
_VALUE = rf"^({_PART})?$"
_KEY_MAX = (
    316  # a prefix of 253 characters, a slash and a name of 63; longer ones are cut off by other limits
)
# Kubernetes keeps these domains for itself, and takes a quota's "requests." for something else.
_DEVICE = rf"^{_DNS}/{_PART}$"
_OWN_DEVICE = r"^([^/]*\.)?kubernetes\.io/|^requests\."
_PLAIN = ("cpu", "memory", "ephemeral-storage")


def _is(pattern: str, key: str) -> bool:
    return len(key) <= _KEY_MAX and rules.compiled(pattern).search(key) is not None


KEYS = (
    rules.Rule(
        f"self.all(k, size(k) <= {_KEY_MAX} && k.matches({rules.quote(_KEY)}))",
        "must hold keys as Kubernetes has them: an optional prefix such as team.example.com/, then at most 63 letters,"
        " digits, '-', '_' and '.'",
        lambda entries: all(_is(_KEY, key) for key in entries),
    ),
)
LABEL_VALUE = (
    rules.matches(
        _VALUE,
        "must be empty or a label's value: at most 63 letters, digits, '-', '_' and '.', starting and ending with a"
        " letter or digit",
    ),
)
KEY = (
    rules.matches(
        _KEY,
        "must be a key as Kubernetes has them: an optional prefix such as example.com/, then at most 63 letters,"
        " digits, '-', '_' and '.'",
    ),
)
TAINT = (
    rules.Rule(
        f"!has(self.key) || size(self.key) == 0 || self.key.matches({rules.quote(_KEY)})",
        "must name the key of one taint as Kubernetes has them: an optional prefix such as example.com/, then at"
        " most 63 letters, digits, '-', '_' and '.'",
        lambda toleration: not toleration.key or _is(_KEY, toleration.key),
    ),
    rules.Rule(
        "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
        "must have effect NoExecute where tolerationSeconds is set: other effects evict nothing",
        lambda toleration: toleration.toleration_seconds is None or toleration.effect == "NoExecute",
    ),
    rules.Rule(
        "!has(self.value) || size(self.value) == 0 || !has(self.operator) || self.operator != 'Exists'",
        "must have no value where operator is Exists: it compares none",
        lambda toleration: not toleration.value or toleration.operator != "Exists",
    ),
)
DEVICE_NAMES = (
    rules.Rule(
        f"self.all(k, k in {list(_PLAIN)} || (size(k) <= {_KEY_MAX} && k.matches({rules.quote(_DEVICE)}) &&"
        f" !k.matches({rules.quote(_OWN_DEVICE)})))",
        "must hold only cpu, memory, ephemeral-storage or an extended resource such as nvidia.com/gpu",
        lambda names: all(
            name in _PLAIN or (_is(_DEVICE, name) and not _is(_OWN_DEVICE, name)) for name in names
        ),
    ),
)
_WHOLE = "(type({0}) == int || ({0}.matches('^[0-9]+$') && size({0}) < 10))"
DEVICES = (
    rules.Rule(
        f"!has(self.limits) || self.limits.all(k, !k.contains('/') || {_WHOLE.format('self.limits[k]')})",
        "limits must be whole numbers for extended resources such as nvidia.com/gpu",
        lambda resources: all(
            "/" not in name or _is_whole(quantity) for name, quantity in resources.limits.items()
        ),
    ),
    rules.Rule(
        "!has(self.requests) || self.requests.all(k, !k.contains('/') || (has(self.limits) && k in self.limits &&"
        " string(self.requests[k]) == string(self.limits[k])))",
        "requests for extended resources such as nvidia.com/gpu must be the same as limits; leave them out, the limit"
        " is enough",
        lambda resources: all(
            "/" not in name or str(resources.limits.get(name)) == str(quantity)
            for name, quantity in resources.requests.items()
        ),
    ),
)


def _is_whole(quantity: int | str) -> bool:
    return isinstance(quantity, int) or (
        re.fullmatch(r"[0-9]{1,9}", quantity) is not None and quantities.parse(quantity) is not None
    )
