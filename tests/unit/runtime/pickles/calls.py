"""The functions that attacks call, by what they do."""

from collections.abc import Iterator
from pathlib import Path

from tests.unit.runtime.pickles.opcodes import call, listed, name, number, row, text

Call = tuple[str, str, tuple[bytes, ...]]
# What is no less of a tool, but needs more than one call or an answer from somewhere to show it.
OTHERS = (
    "ctypes.CDLL distutils.spawn.spawn functools.reduce importlib.import_module inspect.getattr_static"
    " itertools.starmap joblib._memmapping_reducer.reduce_array_memmap_backward joblib._utils.eval_expr"
    " joblib.memory.MemorizedResult joblib.parallel.BatchedCalls lightgbm.basic.Dataset"
    " lightgbm.engine.CVBooster marshal.loads nt.system numpy.DataSource numpy.apply_along_axis"
    " numpy.ctypeslib.load_library numpy.distutils.exec_command.exec_command numpy.f2py.compile numpy.fromfile"
    " numpy.fromregex numpy.genfromtxt numpy.lib.format.read_array numpy.loadtxt numpy.piecewise"
    " numpy.testing.measure numpy.vectorize operator.call pandas.DataFrame.eval pandas.DataFrame.query"
    " pandas.compat.pickle_compat.loads pandas.core.computation.eval.eval pandas.io.sql.read_sql"
    " pandas.read_csv pandas.read_hdf pdb.run pickle._Unpickler pip._internal.main pty.spawn"
    " scipy.LowLevelCallable scipy.io.loadmat scipy.optimize.minimize scipy.stats.rv_continuous"
    " site.execsitecustomize sklearn.datasets.fetch_openml sklearn.datasets.load_files"
    " sklearn.externals.joblib.load sklearn.model_selection.cross_val_score sklearn.tree.export_graphviz"
    " sklearn.utils._testing.MinimalClassifier sklearn.utils.discovery.import_module"
    " sklearn.utils.metaestimators.available_if sklearn.utils.parallel.delayed threading.Thread types.CodeType"
    " urllib.request.urlopen weakref.finalize xgboost.callback.LearningRateScheduler xgboost.core.DMatrix"
    " xgboost.tracker.RabitTracker xgboost.training.train zipimport.zipimporter"
)


def of(sentinel: Path, port: int, command: str) -> Iterator[Call]:
    """Calls that write a file, run a command or open a connection."""
    yield from _of_commands(command)
    yield from _of_files(sentinel)
    yield from _of_connections(port)


def _of_commands(command: str) -> Iterator[Call]:
    shell = text(command)
    python = text(f"__import__('os').system({command!r})")
    arguments = listed(text("/bin/sh"), text("-c"), shell)
    for module in ("os", "posix"):
        yield module, "system", (shell,)
    yield "os", "popen", (shell,)
    yield "os", "spawnv", (number(0), text("/bin/sh"), arguments)
    yield "posix", "posix_spawn", (text("/bin/sh"), arguments, b"}")
    for function in ("call", "check_call", "check_output", "run", "Popen"):
        yield "subprocess", function, (arguments,)
    yield "subprocess", "getoutput", (shell,)
    yield "asyncio", "run", (call(name("asyncio", "create_subprocess_shell"), shell),)
    yield "pydoc", "pipepager", (text("x"), shell)
    yield "builtins", "eval", (python,)
    yield "builtins", "exec", (python,)
    yield "runpy", "_run_code", (call(name("builtins", "compile"), python, text("x"), text("exec")), b"}")
    yield "timeit", "timeit", (python, text("pass"), name("time", "time"), number(1))
    yield "cProfile", "run", (python,)
    yield "bdb", "Bdb.run", (call(name("bdb", "Bdb")), python)
    yield "code", "InteractiveInterpreter.runcode", (call(name("code", "InteractiveInterpreter")), python)
    yield "numpy.testing._private.utils", "runstring", (python, b"}")


def _of_files(sentinel: Path) -> Iterator[Call]:
    path = text(str(sentinel))
    yield "os", "mkdir", (path,)
    yield "posix", "open", (path, number(0o101), number(0o600))
    for module in ("builtins", "_io", "codecs"):
        yield module, "open", (path, text("w"))
    yield "io", "FileIO", (path, text("w"))
    yield "shutil", "copyfile", (text("/etc/hostname"), path)
    yield "logging", "FileHandler", (path,)
    yield "tempfile", "mkdtemp", (text("x"), text("y"), text(str(sentinel.parent)))
    yield "sqlite3", "connect", (path,)
    yield "zipfile", "ZipFile", (path, text("w"))
    browser = call(name("webbrowser", "GenericBrowser"), text("touch"))
    yield "webbrowser", "GenericBrowser.open", (browser, path)
    yield "numpy", "savetxt", (path, listed(number(1)))
    yield "numpy", "memmap", (path, text("u1"), text("w+"), number(0), number(1))
    yield "scipy.io", "savemat", (path, b"}")
    yield "pandas", "DataFrame.to_csv", (call(name("pandas", "DataFrame")), path)
    yield "joblib", "dump", (number(1), path)
    yield "joblib.memory", "Memory", (path,)
    yield "joblib.numpy_pickle", "dump", (number(1), path)


def _of_connections(port: int) -> Iterator[Call]:
    yield "socket", "create_connection", (row(text("127.0.0.1"), number(port)),)
    connection = call(name("http.client", "HTTPConnection"), text("127.0.0.1"), number(port))
    yield "http.client", "HTTPConnection.connect", (connection,)
