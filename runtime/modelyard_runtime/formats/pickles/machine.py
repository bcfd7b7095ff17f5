"""Reads a pickle as Python's unpickler would, opcode by opcode, and makes nothing: objects are stood for by `symbols`.

`loader` runs it over a whole file before any of it is unpickled. It keeps to what Python 3 writes: an opcode, an order
of the memo or a use of a name that no pickler of Python 3 has is refused, so that nothing depends on how the real
unpickler takes it. It must never import, call or look up anything that the file names.
"""

import _compat_pickle
import pickle
from collections.abc import Callable

from modelyard_runtime.formats.pickles import construction, names, opcodes, refusal, stack, states, symbols
from modelyard_runtime.formats.pickles.stream import Stream

_SHORT = 256  # of a text that is looked at: names, attributes, codes of dtypes
_LINE = 4400  # int() takes 4300 digits


class Machine(stack.Stack):
    """The state of one reading; `names` collects the globals of the whole file, streams within it included."""

    def __init__(self, stream: Stream) -> None:
        self.names: dict[tuple[str, str], symbols.Name] = {}
        self._stream = stream
        self._read = stream.read
        self._budget = stream.limit
        self._protocol = 0
        self._frame_end = 0
        self._is_nested = False
        self._steps = self._table()
        super().__init__()

    def check(self) -> symbols.Symbol:
        """Reads the stream to its end and gives what stands for the object in it; raises `Refused` or `Damaged`."""
        try:
            found = self._run()
        except (IndexError, UnicodeDecodeError, ValueError) as error:
            raise refusal.Damaged(f"its opcodes make no sense ({type(error).__name__})") from error
        if self._read(1):
            raise refusal.Refused("something follows the end of the pickle")
        return found

    def _run(self) -> symbols.Symbol:
        read, steps, stop = self._read, self._steps, pickle.STOP
        opcode = read(1)
        if opcode == pickle.PROTO:
            self._begin_protocol()
            opcode = read(1)
        while opcode != stop:
            step = steps.get(opcode)
            if step is None:
                raise opcodes.failure_of(opcode, is_first=self.cost == 0)
            cost, act = step
            self.cost += cost
            if self.cost > self._budget:
                raise self._too_much()
            act()
            opcode = read(1)
        if len(self._stack) != 1 or self._marks or self._in_frame():
            raise refusal.Damaged("it ends with a part of an object")
        self._store(self._stack)
        return self._stack[0]

    def _begin_protocol(self) -> None:
        protocol = self._number(1)
        if protocol > pickle.HIGHEST_PROTOCOL:
            raise refusal.Refused(f"its protocol {protocol} is unknown")
        # Names in a pickle within a joblib file are looked up as the file's own protocol says.
        self._protocol = self._protocol if self._is_nested else protocol

    def _in_frame(self) -> bool:
        return self._stream.position < self._frame_end

    def _nested(self) -> None:
        """Reads the pickle that joblib writes after the wrapper of an array of objects."""
        outer = (self._stack, self._marks, self._memo, self._frame_end, self._is_nested)
        self._begin()
        self._frame_end, self._is_nested = 0, True
        self._run()
        self._stack, self._marks, self._memo, self._frame_end, self._is_nested = outer

    # Numbers and texts.

    def _number(self, size: int) -> int:
        return int.from_bytes(self._stream.take(size), "little")

    def _signed(self, size: int) -> None:
        self._stack.append(int.from_bytes(self._stream.take(size), "little", signed=True))

    def _long(self, size: int) -> None:
        count = self._number(size)
        if count <= 8:
            self._stack.append(int.from_bytes(self._stream.take(count), "little", signed=True))
        else:
            self._pass(min(count, 2**31))
            self._stack.append(symbols.LONG_NUMBER)

    def _line_number(self) -> None:
        line = self._stream.line(_LINE).rstrip(b"L")
        value = {b"00": False, b"01": True}.get(line)
        number = int(line) if value is None else value
        self._stack.append(number if abs(number) < 2**63 else symbols.LONG_NUMBER)

    def _line_fraction(self) -> None:
        float(self._stream.line(_LINE))
        self._stack.append(symbols.FRACTION)

    def _fraction(self) -> None:
        self._stream.take(8)
        self._stack.append(symbols.FRACTION)

    def _small(self) -> None:
        self._stack.append(self._read(1)[0])

    def _short_text(self) -> None:
        # Three in four opcodes of a dictionary of words are this one, a number and a place in the memo.
        text = self._read(self._read(1)[0])
        self._stack.append(text.decode("utf-8", "surrogatepass"))

    def _memoize(self) -> None:
        self._memo.append(self._stack[-1])

    def _text(self, size: int) -> None:
        count = self._number(size)
        if count <= _SHORT:
            self._stack.append(str(self._stream.take(count), "utf-8", "surrogatepass"))
        else:
            self._pass(count)
            self._stack.append(symbols.LONG_TEXT)

    def _line_text(self) -> None:
        line, count = self._stream.pass_line()
        self.cost += count
        self._stack.append(str(line, "raw-unicode-escape") if count <= _SHORT else symbols.LONG_TEXT)

    def _blob(self, size: int) -> None:
        self._pass(self._number(size))
        self._stack.append(symbols.BLOB)

    def _pass(self, count: int) -> None:
        if self._stream.is_beyond(self._stream.position + count):
            raise refusal.Damaged("it says that it is longer than it is")
        self.cost += count
        if self.cost > self._budget:
            raise self._too_much()
        self._stream.skip(count)

    def _too_much(self) -> refusal.Refused:
        needed = f"{self._budget // 1024**2} MiB, which is much for its size"
        return refusal.Refused(f"loading it would need more than {needed}")

    # Names and what is done with them.

    def _name(self, module: str, name: str) -> None:
        key = (module, name)
        if key in self.names:
            self._stack.append(self.names[key])
            return
        if self._protocol < 3:
            if (module, name) in _compat_pickle.NAME_MAPPING:
                module, name = _compat_pickle.NAME_MAPPING[module, name]
            elif module in _compat_pickle.IMPORT_MAPPING:
                module = _compat_pickle.IMPORT_MAPPING[module]
        rule = names.rule_of(module, name)
        if rule is None:
            raise refusal.Refused(f"{refusal.shown(module)}.{refusal.shown(name)} is not allowed")
        self.names[key] = found = symbols.Name(module, name, rule)
        self._stack.append(found)

    def _global(self) -> None:
        module, name = (str(self._stream.line(_LINE), "utf-8") for _ in range(2))
        self._name(module, name)

    def _stack_global(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if type(module) is not str or type(name) is not str:
            raise refusal.Refused("it names something by what is no short text")
        self._name(module, name)

    def _reduce(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        if type(function) is not symbols.Name:
            raise refusal.Refused("it calls something that is no named constructor")
        if type(arguments) is not symbols.Row or names.Use.CALL not in function.rule.use:
            raise refusal.Refused(f"{function.full} is not allowed to be called")
        self._stack.append(construction.construct(function, arguments.items))

    def _new(self) -> None:
        arguments, kind = self._stack.pop(), self._stack.pop()
        if type(kind) is not symbols.Name or names.Use.MAKE not in kind.rule.use:
            raise refusal.Refused("it makes an object of something that is no allowed class")
        if (
            type(arguments) is not symbols.Row
            or len(arguments.items) != kind.rule.arguments
            or arguments.is_loose
        ):
            raise refusal.Refused(f"{kind.full} is not allowed with arguments")
        self._stack.append(symbols.Made(kind))

    def _build(self) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        wrapped = states.build(target, state)
        if wrapped is None:
            return
        # What follows in the file is the array's bytes, outside of any frame, and then more opcodes.
        if self._in_frame():
            raise refusal.Refused("an array begins within a frame")
        if self._is_nested:
            # There, joblib's unpickler is Python's own, and would take the array's bytes for opcodes.
            raise refusal.Refused("an array of joblib's within an array of objects is not allowed")
        self._stack[-1] = symbols.Made(target.name)
        if wrapped.is_padded:
            self._stream.skip(self._number(1))
        if wrapped.has_objects:
            self._nested()
        else:
            self._pass(wrapped.size)

    def _begin_frame(self) -> None:
        if self._in_frame():
            raise refusal.Refused("a frame begins within a frame")
        self._frame_end = self._number(8) + self._stream.position
        if self._stream.is_beyond(self._frame_end):
            raise refusal.Damaged("it says that it is longer than it is")

    def _table(self) -> dict[bytes, tuple[int, Callable[[], None]]]:
        push = self._push
        steps: dict[bytes, Callable[[], None]] = {
            pickle.NONE: lambda: push(None),
            pickle.NEWTRUE: lambda: push(True),
            pickle.NEWFALSE: lambda: push(False),
            pickle.BININT: lambda: self._signed(4),
            pickle.BININT1: self._small,
            pickle.BININT2: lambda: push(self._number(2)),
            pickle.LONG1: lambda: self._long(1),
            pickle.LONG4: lambda: self._long(4),
            pickle.INT: self._line_number,
            pickle.LONG: self._line_number,
            pickle.FLOAT: self._line_fraction,
            pickle.BINFLOAT: self._fraction,
            pickle.SHORT_BINUNICODE: self._short_text,
            pickle.BINUNICODE: lambda: self._text(4),
            pickle.BINUNICODE8: lambda: self._text(8),
            pickle.UNICODE: self._line_text,
            pickle.SHORT_BINBYTES: lambda: self._blob(1),
            pickle.BINBYTES: lambda: self._blob(4),
            pickle.BINBYTES8: lambda: self._blob(8),
            pickle.BYTEARRAY8: lambda: self._blob(8),
            pickle.MARK: self._mark,
            pickle.POP: self._pop,
            pickle.POP_MARK: self._drop,
            pickle.PUT: lambda: self._put(int(self._stream.line(_LINE))),
            pickle.BINPUT: lambda: self._put(self._number(1)),
            pickle.LONG_BINPUT: lambda: self._put(self._number(4)),
            pickle.MEMOIZE: self._memoize,
            pickle.GET: lambda: self._get(int(self._stream.line(_LINE))),
            pickle.BINGET: lambda: self._get(self._number(1)),
            pickle.LONG_BINGET: lambda: self._get(self._number(4)),
            pickle.EMPTY_TUPLE: lambda: self._tuple(()),
            pickle.TUPLE: lambda: self._tuple(self._since_mark()),
            pickle.TUPLE1: lambda: self._last(1),
            pickle.TUPLE2: lambda: self._last(2),
            pickle.TUPLE3: lambda: self._last(3),
            pickle.EMPTY_LIST: lambda: push(symbols.Items()),
            pickle.LIST: lambda: self._list(self._since_mark()),
            pickle.APPEND: self._append,
            pickle.APPENDS: lambda: self._extend(self._since_mark()),
            pickle.EMPTY_SET: lambda: push(symbols.Items()),
            pickle.ADDITEMS: self._add,
            pickle.FROZENSET: self._frozen,
            pickle.EMPTY_DICT: lambda: push(symbols.Fields()),
            pickle.DICT: lambda: self._dictionary(self._since_mark()),
            pickle.SETITEM: self._entry,
            pickle.SETITEMS: lambda: self._fill(self._since_mark()),
            pickle.FRAME: self._begin_frame,
            pickle.GLOBAL: self._global,
            pickle.STACK_GLOBAL: self._stack_global,
            pickle.REDUCE: self._reduce,
            pickle.NEWOBJ: self._new,
            pickle.BUILD: self._build,
        }
        return {opcode: (opcodes.cost_of(opcode), act) for opcode, act in steps.items()}

    def _drop(self) -> None:
        self._since_mark()

    def _push(self, value: symbols.Symbol) -> None:
        self._stack.append(value)
