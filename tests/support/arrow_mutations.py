"""Damaged Arrow streams: what bit rot, cut connections and people with intentions make of a whole one."""

import random
from collections.abc import Iterator

# What sizes, places and counts are never honestly.
_EXTREMES = (
    0,
    1,
    -1,
    2,
    4,
    8,
    255,
    2**15,
    2**16,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**32,
    2**40,
    2**63 - 1,
    -(2**63),
)


def mutations(streams: list[bytes], count: int, seed: int) -> Iterator[bytes]:
    """The same `count` damaged streams for the same seed."""
    chance = random.Random(seed)
    for _ in range(count):
        stream = bytearray(chance.choice(streams))
        for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
            _damage(stream, chance)
        yield bytes(stream)


def _damage(stream: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(stream)) if stream else 0
    size = chance.choice((1, 2, 4, 8))
    start = at - at % size  # numbers lie at multiples of their size
    match chance.choice(("flip", "number", "number", "number", "cut", "insert", "end")):
        case "flip" if stream:
            stream[at] ^= 1 << chance.randrange(8)
        case "number":
            value = chance.choice(_EXTREMES) & (256**size - 1)
            stream[start : start + size] = value.to_bytes(size, "little")
        case "cut":
            del stream[at : at + chance.randrange(1, 16)]
        case "insert":
            stream[at:at] = chance.randbytes(chance.randrange(1, 16))
        case _:
            del stream[at:]
