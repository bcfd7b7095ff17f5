"""What calling an allowed constructor gives, and with which arguments it may be called.

`machine` asks for every call in a pickle. A constructor passes with the arguments that its own library writes, and with
no others: most of them would take more, a class to call or a size to allocate. Pure: nothing is called here.
"""

from collections.abc import Callable, Mapping, Sequence

from modelyard_runtime.formats.pickles import dtypes, names, refusal, symbols

Arguments = Sequence[symbols.Symbol]
Test = Callable[[symbols.Symbol], bool]


def construct(function: symbols.Name, arguments: Arguments) -> symbols.Symbol:
    """Gives what stands for `function(*arguments)`; raises `Refused`."""
    found = _CONSTRUCTORS.get((function.module.replace("numpy.core.", "numpy._core."), function.name))
    made = None if found is None else found(function, arguments)
    if made is None:
        raise refusal.Refused(f"{function.full} is not allowed with such arguments")
    return made


Constructor = Callable[[symbols.Name, Arguments], symbols.Symbol | None]


def _is_number(one: symbols.Symbol) -> bool:
    return type(one) in (int, bool) or one in (symbols.FRACTION, symbols.SCALAR)


def _is_whole(one: symbols.Symbol) -> bool:
    return type(one) in (int, bool)


def _is_text(one: symbols.Symbol) -> bool:
    return type(one) is str


def _is_blob(one: symbols.Symbol) -> bool:
    return type(one) is symbols.Blob


def _is_items(one: symbols.Symbol) -> bool:
    return type(one) is symbols.Items


def _is_fields(one: symbols.Symbol) -> bool:
    return type(one) is symbols.Fields and not one.is_loose


def _is_empty(one: symbols.Symbol) -> bool:
    return one is None or (type(one) is symbols.Row and not one.items)


def _is_data(one: symbols.Symbol) -> bool:
    """Says whether something may be kept by an object, as the stack's own rule has it."""
    if type(one) is symbols.Name:
        return names.Use.VALUE in one.rule.use
    return not (type(one) in (symbols.Row, symbols.Fields) and one.is_loose)


def _named(module: str, listed: str) -> Test:
    allowed = {(module, name) for name in listed.split()}
    return lambda one: type(one) is symbols.Name and (one.module, one.name) in allowed


def _argument(*modules: str) -> Test:
    """Tests for a class that may be an argument, of one of the modules."""
    return lambda one: (
        type(one) is symbols.Name and names.Use.ARGUMENT in one.rule.use and one.module.startswith(modules)
    )


def _or_none(test: Test) -> Test:
    return lambda one: one is None or test(one)


def _made(*tests: Test, least: int | None = None) -> Constructor:
    """Gives the rule of a constructor whose arguments pass these tests, one by one; `least` of them must be there."""
    fewest = len(tests) if least is None else least

    def construct_made(function: symbols.Name, arguments: Arguments) -> symbols.Symbol | None:
        if not fewest <= len(arguments) <= len(tests):
            return None
        return symbols.Made(function) if all(map(_passes, tests, arguments)) else None

    return construct_made


def _passes(test: Test, one: symbols.Symbol) -> bool:
    return test(one)


def _gives(rule: Constructor, make: Callable[[], symbols.Symbol]) -> Constructor:
    """Gives a rule with another outcome than an object of the class."""
    return lambda function, arguments: None if rule(function, arguments) is None else make()


def _items(_: symbols.Name, arguments: Arguments) -> symbols.Symbol | None:
    """`set(list)`; a tuple would do as well, a range would not."""
    if len(arguments) > 1 or not all(map(_is_items, arguments)):
        return None
    made = symbols.Items()
    made.count = arguments[0].count if arguments else 0
    return made


def _bytearray(_: symbols.Name, arguments: Arguments) -> symbols.Symbol | None:
    return symbols.BLOB if not arguments or (len(arguments) == 1 and _is_blob(arguments[0])) else None


def _encoded(_: symbols.Name, arguments: Arguments) -> symbols.Symbol | None:
    """`_codecs.encode(text, "latin1")`: bytes, as protocols before 3 write them."""
    is_text = len(arguments) == 2 and (type(arguments[0]) is str or arguments[0] is symbols.LONG_TEXT)
    return symbols.BLOB if is_text and arguments[1] == "latin1" else None


def _dtype(_: symbols.Name, arguments: Arguments) -> symbols.Symbol | None:
    return dtypes.parse(arguments)


def _is_plain_dtype(one: symbols.Symbol) -> bool:
    return type(one) is symbols.Dtype and not one.has_objects


def _is_zero_shape(one: symbols.Symbol) -> bool:
    return type(one) is symbols.Row and one.items == (0,)


def _reconstructed(_: symbols.Name, arguments: Arguments) -> symbols.Symbol | None:
    """`copyreg._reconstructor(cls, object, None)`: an object, as protocols before 2 write them."""
    if (
        len(arguments) != 3
        or type(arguments[0]) is not symbols.Name
        or type(arguments[1]) is not symbols.Name
    ):
        return None
    kind, base, state = arguments
    is_makeable = names.Use.MAKE in kind.rule.use and not kind.rule.arguments
    is_plain = base.full == "builtins.object" and state is None
    is_dictionary = kind.rule.fills and base.full == "builtins.dict" and _is_fields(state)
    return symbols.Made(kind) if is_makeable and (is_plain or is_dictionary) else None


def _partial(_: symbols.Name, arguments: Arguments) -> symbols.Symbol | None:
    is_known = len(arguments) == 1 and _named("sklearn.utils.validation", "check_array")(arguments[0])
    return symbols.Partial(arguments[0]) if is_known else None


def _is_factory(one: symbols.Symbol) -> bool:
    listed = "dict float int list set str"
    return one is None or _named("builtins", listed)(one) or _named("collections", "OrderedDict")(one)


_IS_ARRAY_CLASS = _named("numpy", "ndarray matrix memmap")
_BIT_GENERATOR = _argument("numpy.random._")
_IS_GENERATOR_NAME = frozenset({"MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"}).__contains__
_ARRAY_ARGUMENTS = _made(_IS_ARRAY_CLASS, _is_zero_shape, lambda one: _is_blob(one) or one == "b")
_MASKED = _made(
    lambda one: type(one) is symbols.Name and one.name == "MaskedArray", _IS_ARRAY_CLASS, _is_zero_shape,
    lambda one: _is_blob(one) or one == "b",
)  # fmt: skip
_PICKLED = "__pyx_unpickle_"  # what Cython calls the constructors of its classes: class, checksum, state


def _is_bit_generator(one: symbols.Symbol) -> bool:
    return _BIT_GENERATOR(one) or (type(one) is str and _IS_GENERATOR_NAME(one))


def _is_made_generator(one: symbols.Symbol) -> bool:
    return type(one) is symbols.Made and one.name.name == "__bit_generator_ctor"


_CONSTRUCTORS: Mapping[tuple[str, str], Constructor] = {
    ("_codecs", "encode"): _encoded,
    ("builtins", "bytearray"): _bytearray,
    ("builtins", "bytes"): _gives(_made(), lambda: symbols.BLOB),
    ("builtins", "complex"): _made(_is_number, _is_number),
    ("builtins", "frozenset"): _items,
    ("builtins", "range"): _made(_is_whole, _is_whole, _is_whole),
    ("builtins", "set"): _items,
    ("builtins", "slice"): _made(*[_or_none(_is_data)] * 3),
    ("collections", "Counter"): _made(_is_fields),
    ("collections", "OrderedDict"): _made(),
    ("collections", "defaultdict"): _made(_is_factory),
    ("collections", "deque"): _made(_is_empty, _or_none(_is_whole), least=0),
    ("copyreg", "_reconstructor"): _reconstructed,
    ("datetime", "date"): _made(_is_blob),
    ("datetime", "datetime"): _made(_is_blob, _is_data, least=1),
    ("datetime", "time"): _made(_is_blob, _is_data, least=1),
    ("datetime", "timedelta"): _made(_is_whole, _is_whole, _is_whole),
    ("datetime", "timezone"): _made(_is_data, _is_text, least=1),
    ("functools", "partial"): _partial,
    ("numpy", "dtype"): _dtype,
    ("numpy._core.multiarray", "_reconstruct"): _gives(_ARRAY_ARGUMENTS, symbols.Array),
    ("numpy._core.multiarray", "scalar"): _gives(_made(_is_plain_dtype, _is_blob), lambda: symbols.SCALAR),
    ("numpy._core.numeric", "_frombuffer"): _made(_is_blob, _is_plain_dtype, _is_data, _is_text),
    ("numpy.ma.core", "_mareconstruct"): _gives(_MASKED, lambda: symbols.Array(is_masked=True)),
    ("numpy.random._pickle", "__bit_generator_ctor"): _made(_is_bit_generator),
    ("numpy.random._pickle", "__generator_ctor"): _made(_is_made_generator),
    ("numpy.random._pickle", "__randomstate_ctor"): _made(_is_made_generator),
    ("numpy.random.bit_generator", f"{_PICKLED}SeedSequence"):
        _made(_named("numpy.random.bit_generator", "SeedSequence"), _is_whole, _is_data),
    ("pandas", "Interval"): _made(_is_data, _is_data, _is_text),
    ("pandas", "StringDtype"): _made(lambda one: one in ("python", "pyarrow"), _is_data, least=1),
    ("pandas._libs.arrays", f"{_PICKLED}NDArrayBacked"): _made(_argument("pandas"), _is_whole, _is_empty),
    ("pandas._libs.internals", "_unpickle_block"): _made(_is_data, _is_data, _is_whole),
    ("pandas._libs.tslibs.nattype", "_nat_unpickle"): _made(_is_empty),
    ("pandas._libs.tslibs.timedeltas", "_timedelta_unpickle"): _made(_is_whole, _is_whole),
    ("pandas._libs.tslibs.timestamps", "_unpickle_timestamp"):
        _made(_is_whole, _is_empty, _is_data, _is_whole, least=3),
    ("pandas.core.indexes.base", "_new_Index"): _made(_argument("pandas"), _is_fields),
    ("pandas.core.indexes.datetimes", "_new_DatetimeIndex"): _made(_argument("pandas"), _is_fields),
    ("pandas.core.internals.managers", "BlockManager"): _made(_is_data, _is_data),
    ("sklearn._loss._loss", "CyAbsoluteError"): _made(),
    ("sklearn._loss._loss", "CyExponentialLoss"): _made(),
    ("sklearn._loss._loss", "CyHalfBinomialLoss"): _made(),
    ("sklearn._loss._loss", "CyHalfGammaLoss"): _made(),
    ("sklearn._loss._loss", "CyHalfPoissonLoss"): _made(),
    ("sklearn._loss._loss", "CyHalfSquaredError"): _made(),
    ("sklearn._loss._loss", "CyHalfTweedieLoss"): _made(_is_number),
    ("sklearn._loss._loss", "CyHalfTweedieLossIdentity"): _made(_is_number),
    ("sklearn._loss._loss", "CyHuberLoss"): _made(_is_number),
    ("sklearn._loss._loss", "CyPinballLoss"): _made(_is_number),
    ("sklearn._loss._loss", f"{_PICKLED}CyHalfMultinomialLoss"):
        _made(_named("sklearn._loss._loss", "CyHalfMultinomialLoss"), _is_whole, _is_empty),
    ("sklearn.linear_model._sgd_fast", "EpsilonInsensitive"): _made(_is_number),
    ("sklearn.linear_model._sgd_fast", "Hinge"): _made(_is_number),
    ("sklearn.linear_model._sgd_fast", "ModifiedHuber"): _made(),
    ("sklearn.linear_model._sgd_fast", "SquaredEpsilonInsensitive"): _made(_is_number),
    ("sklearn.linear_model._sgd_fast", "SquaredHinge"): _made(_is_number),
    ("sklearn.metrics._dist_metrics", "newObj"): _made(_argument("sklearn.metrics._dist_metrics")),
    ("sklearn.neighbors._ball_tree", "newObj"): _made(_argument("sklearn.neighbors._ball_tree")),
    ("sklearn.neighbors._kd_tree", "newObj"): _made(_argument("sklearn.neighbors._kd_tree")),
    ("sklearn.tree._tree", "Tree"): _made(_is_whole, _is_data, _is_whole),
}  # fmt: skip
