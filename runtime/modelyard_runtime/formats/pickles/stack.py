"""The stack, the memo and the containers of a pickle that is read without making any object.

`machine` adds the opcodes that bring values in and do something with names. What may be kept where is decided here: a
class that is allowed as an argument of a constructor must never get into a dictionary, whose owner might call it.
"""

import itertools
from collections.abc import Sequence

from modelyard_runtime.formats.pickles import names, refusal, states, symbols

_DEEPEST = 100  # tuples within tuples; hash() of a tuple knows no other bound than the stack's
_ATTRIBUTES = 512  # entries of a dictionary that are remembered by their keys
_ODD_KEYS = 5000  # keys whose hash a file can choose to be the same as others'
_ENTRY_COST = 80
# Symbols that may not stand just anywhere, or that must be marked when they do.
_SUSPECTS = frozenset({symbols.Name, symbols.Row, symbols.Fields})
_PLAIN_KEYS = frozenset({str, int, bool, type(None), symbols.Blob})


class Stack:
    """What a pickle has put down so far; `cost` counts the bytes that loading it would need."""

    def __init__(self) -> None:
        self.cost = 0
        self._odd_keys = 0
        self._begin()

    def _begin(self) -> None:
        self._stack: list[symbols.Symbol] = []
        self._marks: list[list[symbols.Symbol]] = []
        self._memo: list[symbols.Symbol] = []

    def _mark(self) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def _since_mark(self) -> list[symbols.Symbol]:
        found = self._stack
        self._stack = self._marks.pop()
        return found

    def _pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._since_mark()

    def _put(self, index: int) -> None:
        if index != len(self._memo):
            raise refusal.Refused("it numbers its memo as no pickler does")
        self._memo.append(self._stack[-1])

    def _get(self, index: int) -> None:
        if index < 0:
            raise IndexError
        self._stack.append(self._memo[index])

    # Containers.

    def _tuple(self, items: Sequence[symbols.Symbol]) -> None:
        loose, depth = False, 0
        for one in items:
            if type(one) in _SUSPECTS:
                if type(one) is symbols.Row:
                    loose, depth = loose or one.is_loose, max(depth, one.depth)
                elif type(one) is symbols.Fields:
                    loose, one.is_shared = loose or one.is_loose, True
                else:
                    loose = loose or names.Use.VALUE not in one.rule.use
        if depth >= _DEEPEST:
            raise refusal.Refused(f"it nests tuples more than {_DEEPEST} deep")
        self.cost += 8 * len(items)
        self._stack.append(symbols.Row(tuple(items), loose, depth + 1))

    def _last(self, count: int) -> None:
        if len(self._stack) < count:
            raise IndexError
        items = self._stack[-count:]
        del self._stack[-count:]
        self._tuple(items)

    def _list(self, items: list[symbols.Symbol]) -> None:
        self._store(items)
        made = symbols.Items()
        made.count = len(items)
        self._stack.append(made)

    def _dictionary(self, items: list[symbols.Symbol]) -> None:
        self._stack.append(symbols.Fields())
        self._fill(items)

    def _extend(self, items: list[symbols.Symbol]) -> None:
        target = self._stack[-1]
        self._store(items)
        self.cost += 8 * len(items)
        if type(target) is symbols.Items:
            target.count += len(items)
        elif type(target) is not symbols.Made or not target.name.rule.extends:
            raise refusal.Refused("it adds items to something that is no list")

    def _add(self) -> None:
        items = self._since_mark()
        self._include(items, self._stack[-1])

    def _include(self, items: list[symbols.Symbol], target: symbols.Symbol) -> None:
        if type(target) is not symbols.Items:
            raise refusal.Refused("it adds items to something that is no set")
        self._hash(items)
        self._store(items)
        target.count += len(items)

    def _frozen(self) -> None:
        made = symbols.Items()
        self._include(self._since_mark(), made)
        self._stack.append(made)

    def _append(self) -> None:
        item = self._stack.pop()
        self._extend([item])

    def _entry(self) -> None:
        self._last(2)
        self._fill(self._stack.pop().items)

    def _fill(self, items: Sequence[symbols.Symbol]) -> None:
        keys, values, target = items[::2], items[1::2], self._stack[-1]
        if len(items) % 2:
            raise IndexError
        self.cost += _ENTRY_COST * len(keys)
        self._hash(keys)
        if type(target) is symbols.Fields:
            self._remember(target, keys, values)
        elif type(target) is symbols.Made and target.name.rule.fills:
            self._store(values)
        else:
            raise refusal.Refused("it sets entries of something that is no dictionary")
        self._store(keys)

    def _remember(
        self, target: symbols.Fields, keys: Sequence[symbols.Symbol], values: Sequence[symbols.Symbol]
    ) -> None:
        kept = values
        if keys and keys[0] == "subclass" and states.is_array_class(values[0]) and not target.is_shared:
            # joblib writes the class of an array into the state of its wrapper.
            target.is_loose, kept = True, values[1:]
        self._store(kept)
        room = _ATTRIBUTES - len(target.entries)
        target.has_others = target.has_others or len(keys) > room
        for key, value in itertools.islice(zip(keys, values, strict=True), room):
            if type(key) is str:
                target.entries[key] = value
            else:
                target.has_others = True

    def _store(self, items: Sequence[symbols.Symbol]) -> None:
        """Makes sure that the items may be kept by the file's objects."""
        if _SUSPECTS.isdisjoint(map(type, items)):
            return
        for one in items:
            if type(one) is symbols.Fields:
                one.is_shared = True
            if type(one) is symbols.Name and names.Use.VALUE not in one.rule.use:
                raise refusal.Refused(f"{one.full} is not allowed as a value")
            if type(one) in (symbols.Row, symbols.Fields) and one.is_loose:
                raise refusal.Refused("it keeps a class or a constructor where only data may be")

    def _hash(self, keys: Sequence[symbols.Symbol]) -> None:
        """Makes sure that the keys don't have all the same hash, which would take time without end."""
        if _PLAIN_KEYS.issuperset(map(type, keys)):
            return
        for one in keys:
            if one is symbols.LONG_NUMBER:
                raise refusal.Refused("it has a key or member that is a number of more than 64 bits")
            if type(one) not in _PLAIN_KEYS and type(one) is not symbols.Opaque:
                self._odd_keys += 1
        if self._odd_keys > _ODD_KEYS:
            raise refusal.Refused(f"it has more than {_ODD_KEYS} keys that are tuples or objects")
