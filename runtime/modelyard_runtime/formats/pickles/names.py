"""The list of what a pickle may name, and what may be done with each name: a pure function of two texts.

`machine` asks it for every global in a file, before anything is imported; `resolution` imports what it let pass and
makes sure of what the list supposes. A name that isn't here is refused, whatever it is. Functions that read files, call
their arguments, evaluate text or import by name are not here and must never be: with one of them, a file of allowed
parts would run anything.
"""

import enum
import re
from collections.abc import Mapping
from typing import NamedTuple


class Use(enum.Flag):
    """What a file may do with a name."""

    MAKE = enum.auto()  # make an empty object of the class, without calling its __init__
    CALL = enum.auto()  # call it, with the arguments that `construction` allows
    VALUE = (
        enum.auto()
    )  # keep it, as a transformer keeps numpy.log1p: whoever gets it may call it with anything
    ARGUMENT = enum.auto()  # hand it to a constructor that `construction` knows, and keep it nowhere


class Kind(enum.Enum):
    """What an imported object must turn out to be."""

    ANY = "any"
    CLASS = "class"
    ESTIMATOR = "estimator"  # a class of scikit-learn's BaseEstimator that is defined where the file says
    FUNCTION = "function"  # a Python function that is defined where the file says


class Rule(NamedTuple):
    """What may be done with a name; `fills` and `extends` say that its objects take entries or items."""

    use: Use
    kind: Kind = Kind.ANY
    fills: bool = False
    extends: bool = False
    arguments: int = 0  # how many __new__ takes where an object is made


_MAKE = Rule(Use.MAKE, Kind.CLASS)
_ESTIMATOR = Rule(Use.MAKE, Kind.ESTIMATOR)
_CALL = Rule(Use.CALL)
_VALUE = Rule(Use.VALUE)
_FUNCTION = Rule(Use.VALUE, Kind.FUNCTION)
_ARGUMENT = Rule(Use.ARGUMENT, Kind.CLASS)
_TYPE = Rule(Use.VALUE, Kind.CLASS)

# scikit-learn's packages of estimators: what is named there like a class passes if it turns out to be an estimator.
_ESTIMATOR_PACKAGES = (
    "calibration", "cluster", "compose", "covariance", "cross_decomposition", "decomposition", "discriminant_analysis",
    "dummy", "ensemble", "feature_extraction", "feature_selection", "frozen", "gaussian_process", "impute", "isotonic",
    "kernel_approximation", "kernel_ridge", "linear_model", "manifold", "mixture", "model_selection", "multiclass",
    "multioutput", "naive_bayes", "neighbors", "neural_network", "pipeline", "preprocessing", "random_projection",
    "semi_supervised", "svm", "tree",
)  # fmt: skip
_BOOSTERS = "XGBModel XGBClassifier XGBRegressor XGBRanker XGBRFClassifier XGBRFRegressor"
_SPARSE = "csr csc coo bsr dia lil"  # codespell:ignore coo

# Module → names, blanks between.
_MADE: Mapping[str, str] = {
    "joblib.numpy_pickle": "NumpyArrayWrapper",
    "lightgbm.basic": "Booster",
    "pandas": "DataFrame Series CategoricalDtype DatetimeTZDtype BooleanDtype Int8Dtype Int16Dtype Int32Dtype"
    " Int64Dtype UInt8Dtype UInt16Dtype UInt32Dtype UInt64Dtype Float32Dtype Float64Dtype",
    "pandas.arrays": "BooleanArray FloatingArray IntegerArray",
    "pandas.core.arrays.boolean": "BooleanArray BooleanDtype",
    "pandas.core.arrays.floating": "FloatingArray Float32Dtype Float64Dtype",
    "pandas.core.arrays.integer": "IntegerArray Int8Dtype Int16Dtype Int32Dtype Int64Dtype UInt8Dtype UInt16Dtype"
    " UInt32Dtype UInt64Dtype",
    "pandas.core.dtypes.dtypes": "CategoricalDtype DatetimeTZDtype",
    "pandas.core.frame": "DataFrame",
    "pandas.core.internals.managers": "SingleBlockManager",
    "pandas.core.series": "Series",
    "scipy.interpolate._bsplines": "BSpline",
    "sklearn._loss.link": "HalfLogitLink IdentityLink Interval LogLink LogitLink MultinomialLogit",
    "sklearn._loss.loss": "AbsoluteError ExponentialLoss HalfBinomialLoss HalfGammaLoss HalfMultinomialLoss"
    " HalfPoissonLoss HalfSquaredError HalfTweedieLoss HalfTweedieLossIdentity HuberLoss PinballLoss",
    "sklearn.calibration": "_CalibratedClassifier",
    "sklearn.cluster._birch": "_CFNode _CFSubcluster",
    "sklearn.cluster._bisect_k_means": "_BisectingTree",
    "sklearn.compose._column_transformer": "make_column_selector",
    "sklearn.ensemble._hist_gradient_boosting.predictor": "TreePredictor",
    "sklearn.gaussian_process.kernels": "CompoundKernel ConstantKernel DotProduct ExpSineSquared Exponentiation"
    " Hyperparameter Matern PairwiseKernel Product RBF RationalQuadratic Sum WhiteKernel",
    "sklearn.metrics._scorer": "_CurveScorer _MultimetricScorer _PassthroughScorer _Scorer",
    "sklearn.model_selection._split": "GroupKFold GroupShuffleSplit KFold LeaveOneGroupOut LeaveOneOut LeavePGroupsOut"
    " LeavePOut PredefinedSplit RepeatedKFold RepeatedStratifiedKFold ShuffleSplit StratifiedGroupKFold StratifiedKFold"
    " StratifiedShuffleSplit TimeSeriesSplit",
    "sklearn.neural_network._stochastic_optimizers": "AdamOptimizer SGDOptimizer",
    "sklearn.utils._metadata_requests": "MetadataRequest MethodMetadataRequest",
    "xgboost.callback": "EarlyStopping",
    "xgboost.core": "Booster",
    "lightgbm.sklearn": "LGBMClassifier LGBMModel LGBMRanker LGBMRegressor",
    "xgboost.sklearn": _BOOSTERS,
    **{
        f"scipy.sparse.{private}{kind}": f"{kind}_matrix {kind}_array"
        for kind in _SPARSE.split()
        for private in ("_", "")
    },
}  # fmt: skip
_CALLED: Mapping[str, str] = {
    "_codecs": "encode",
    "builtins": "bytearray bytes complex frozenset range set slice",
    "collections": "Counter defaultdict deque OrderedDict",
    "copyreg": "_reconstructor",
    "datetime": "date datetime time timedelta timezone",
    "functools": "partial",
    "numpy": "dtype",
    "numpy._core.multiarray": "_reconstruct scalar",
    "numpy._core.numeric": "_frombuffer",
    "numpy.core.multiarray": "_reconstruct scalar",
    "numpy.core.numeric": "_frombuffer",
    "numpy.ma.core": "_mareconstruct",
    "numpy.random._pickle": "__bit_generator_ctor __generator_ctor __randomstate_ctor",
    "numpy.random.bit_generator": "__pyx_unpickle_SeedSequence",
    "pandas": "Interval StringDtype",
    "pandas._libs.arrays": "__pyx_unpickle_NDArrayBacked",
    "pandas._libs.internals": "_unpickle_block",
    "pandas._libs.tslibs.nattype": "_nat_unpickle",
    "pandas._libs.tslibs.timedeltas": "_timedelta_unpickle",
    "pandas._libs.tslibs.timestamps": "_unpickle_timestamp",
    "pandas.core.indexes.base": "_new_Index",
    "pandas.core.indexes.datetimes": "_new_DatetimeIndex",
    "pandas.core.internals.managers": "BlockManager",
    "sklearn._loss._loss": "CyAbsoluteError CyExponentialLoss CyHalfBinomialLoss CyHalfGammaLoss CyHalfPoissonLoss"
    " CyHalfSquaredError CyHalfTweedieLoss CyHalfTweedieLossIdentity CyHuberLoss CyPinballLoss"
    " __pyx_unpickle_CyHalfMultinomialLoss",
    "sklearn.linear_model._sgd_fast": "EpsilonInsensitive Hinge ModifiedHuber SquaredEpsilonInsensitive SquaredHinge",
    "sklearn.metrics._dist_metrics": "newObj",
    "sklearn.neighbors._ball_tree": "newObj",
    "sklearn.neighbors._kd_tree": "newObj",
    "sklearn.tree._tree": "Tree",
}  # fmt: skip
_ARGUMENTS: Mapping[str, str] = {
    "numpy": "matrix memmap ndarray",
    "numpy.ma": "MaskedArray",
    "numpy.ma.core": "MaskedArray",
    "numpy.random._mt19937": "MT19937",
    "numpy.random._pcg64": "PCG64 PCG64DXSM",
    "numpy.random._philox": "Philox",
    "numpy.random._sfc64": "SFC64",
    "numpy.random.bit_generator": "SeedSequence",
    "pandas": "Categorical CategoricalIndex DatetimeIndex Index MultiIndex RangeIndex TimedeltaIndex",
    "pandas.arrays": "DatetimeArray StringArray TimedeltaArray",
    "pandas.core.arrays.categorical": "Categorical",
    "pandas.core.arrays.datetimes": "DatetimeArray",
    "pandas.core.arrays.string_": "StringArray",
    "pandas.core.indexes.base": "Index",
    "pandas.core.indexes.category": "CategoricalIndex",
    "pandas.core.indexes.datetimes": "DatetimeIndex",
    "pandas.core.indexes.multi": "MultiIndex",
    "pandas.core.indexes.range": "RangeIndex",
    "sklearn._loss._loss": "CyHalfMultinomialLoss",
    "sklearn.neighbors._ball_tree": "BallTree BallTree32 BallTree64",
    "sklearn.neighbors._kd_tree": "KDTree KDTree32 KDTree64",
}
# numpy's functions of arrays to arrays that transformers are made of. None reads, writes or calls anything.
_NUMPY = (
    "abs absolute add all amax amin any arccos arccosh arcsin arcsinh arctan arctan2 arctanh around array asarray"
    " atleast_2d cbrt ceil clip concatenate conj copy cos cosh cumprod cumsum deg2rad degrees diff divide equal"
    " exp exp2 expm1 fabs fix float_power floor floor_divide fmax fmin fmod greater greater_equal heaviside hypot"
    " imag invert isfinite isinf isnan less less_equal log log10 log1p log2 logaddexp logical_and logical_not"
    " logical_or max maximum mean median min minimum mod multiply nan_to_num nanmax nanmean nanmedian nanmin"
    " nanstd nansum negative not_equal positive power prod ptp rad2deg radians ravel real reciprocal remainder"
    " rint round sign signbit sin sinc sinh sqrt square squeeze std subtract sum tan tanh transpose true_divide"
    " trunc var where"
)
_NUMPY_TYPES = (
    "bool bool_ bytes_ complex128 complex64 datetime64 double float16 float32 float64 floating inexact int16"
    " int32 int64 int8 intc integer intp longdouble number object_ str_ timedelta64 uint16 uint32 uint64 uint8"
    " uintp"
)
_VALUES: Mapping[str, str] = {
    "numpy": _NUMPY,
    "pandas": "NA",
    "scipy._lib.array_api_compat.numpy": "asarray",
    "scipy._lib.array_api_compat.numpy._aliases": "asarray",
    "scipy.special": "expit log1p logit",
    "scipy.special._ufuncs": "expit log1p logit",
}
_TYPES: Mapping[str, str] = {
    "builtins": "bool complex dict float int list object set str tuple",
    "numpy": _NUMPY_TYPES,
}
_FUNCTIONS: Mapping[str, str] = {
    "sklearn.cluster._kmeans": "_kmeans_single_elkan _kmeans_single_lloyd",
    "sklearn.covariance._empirical_covariance": "empirical_covariance",
    "sklearn.feature_extraction.text": "strip_accents_ascii strip_accents_unicode",
    "sklearn.feature_selection._mutual_info": "mutual_info_classif mutual_info_regression",
    "sklearn.feature_selection._univariate_selection": "chi2 f_classif f_oneway f_regression r_regression",
    "sklearn.utils.validation": "check_array",
}


def _listed() -> dict[tuple[str, str], Rule]:
    found: dict[tuple[str, str], Rule] = {}
    tables = (
        (_MADE, _MAKE), (_CALLED, _CALL), (_ARGUMENTS, _ARGUMENT), (_VALUES, _VALUE), (_TYPES, _TYPE),
        (_FUNCTIONS, _FUNCTION),
    )  # fmt: skip
    for table, rule in tables:
        for module, listed in table.items():
            for name in listed.split():
                key = (module, name)
                found[key] = rule._replace(use=found[key].use | rule.use) if key in found else rule
    for name in ("Counter", "defaultdict", "OrderedDict"):
        found["collections", name] = found["collections", name]._replace(fills=True)
    found["collections", "deque"] = found["collections", "deque"]._replace(extends=True)
    found["collections", "OrderedDict"] = Rule(Use.CALL | Use.VALUE, Kind.CLASS, fills=True)
    for name in ("KFold", "StratifiedKFold"):
        # The repeated splitters keep the class of the splitter that they repeat.
        key = ("sklearn.model_selection._split", name)
        found[key] = found[key]._replace(use=Use.MAKE | Use.VALUE)
    found["sklearn.utils._bunch", "Bunch"] = _MAKE._replace(fills=True)
    found["sklearn.impute._iterative", "_ImputerTriplet"] = _MAKE._replace(arguments=3)
    return found


_LISTED = _listed()
_ESTIMATOR_CLASS = re.compile(
    rf"sklearn\.(?:{'|'.join(_ESTIMATOR_PACKAGES)})(?:\.(?!tests\b)_?[a-z]\w*)*\._?[A-Z]\w*", re.ASCII
)
# Functions of (true, predicted) to a number, which a scorer in a search keeps; and of two tables to a table.
_SCORE = re.compile(
    r"sklearn\.metrics\.(?:_classification|_ranking|_regression|_scorer|cluster\._supervised)"
    r"\.[a-z]\w*_(?:score|error|loss|ratio|deviance|corrcoef)"
    r"|sklearn\.metrics\._regression\.max_error"
    r"|sklearn\.metrics\.pairwise\.[a-z]\w*_(?:kernel|distances|similarity)",
    re.ASCII,
)
_DISTANCE = re.compile(
    r"sklearn\.metrics\._dist_metrics\.(?!PyFunc)[A-Z]\w*(?:Distance|DistanceMetric)(?:32|64)?", re.ASCII
)


def rule_of(module: str, name: str) -> Rule | None:
    """Gives what may be done with a global; None when it may not even be named."""
    found = _LISTED.get((module, name))
    if found is not None:
        return found
    full = f"{module}.{name}"
    if "." in name:
        return None  # a walk along attributes
    if _ESTIMATOR_CLASS.fullmatch(full):
        return _ESTIMATOR
    if _SCORE.fullmatch(full):
        return _FUNCTION
    return _ARGUMENT if _DISTANCE.fullmatch(full) else None
