"""Run somebody's Brian2 script as far as the simulation that is to be looked at.

The script runs unmodified, as `python script.py` would run it, with four differences: Brian2
uses its numpy target whatever the script asks for, figures are never shown, what the script
writes goes to a folder that is thrown away, and pools of processes work in this one.
"""

import builtins
import io
import multiprocessing
import multiprocessing.pool
import os
import runpy
import shutil
import sys
import tempfile
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

import numpy as np
from brian2 import Network, prefs
from brian2.codegen.runtime.numpy_rt import NumpyCodeObject
from brian2.core.magic import MagicNetwork
from brian2.core.namespace import get_local_namespace
from brian2.devices.device import RuntimeDevice, all_devices
from brian2.equations import equations

from .bridge.bounds import require_small
from .errors import ScriptError

Look = Callable[[Network, Any, Mapping[str, Any]], None]
STANDALONE = "cpp_standalone"
CHANGES = ("os.remove", "os.rename", "os.rmdir", "os.truncate", "os.link", "os.symlink")


class _Reached(BaseException):
    """The simulation was looked at: the rest of the script is not needed."""


def run_until(path: Path, look: Look, number: int = 1, arguments: Sequence[str] = ()) -> None:
    """Run a script until its `number`-th simulation, and look at that instead of running it.

    Arguments:
        path: The script.
        look: Called with the network as it is before that `run`, its duration and its namespace.
        number: Which call of `run`, from 1; those before it are carried out.
        arguments: What the script finds in `sys.argv` after its own name.

    Raises:
        ScriptError: The script cannot be read, raises an error, or ends before that `run`.
    """
    if not path.is_file():
        raise ScriptError(f"{path} is not a file. Give the path of a Brian2 script.")
    stop = _Stop(look, number)
    try:
        with (
            _like_a_script(path, arguments),
            _in_this_process(),
            _numpy_only(),
            _bounded(),
            _shadowed(),
            stop.armed(),
        ):
            runpy.run_path(str(path), run_name="__main__")
    except (_Reached, Exception, SystemExit) as error:
        if stop.error is not None:
            raise stop.error from None
        if not stop.reached and not (isinstance(error, SystemExit) and error.code in (None, 0)):
            raise ScriptError(_fault(path, error)) from error
    if stop.error is not None:  # the script caught it
        raise stop.error
    if not stop.reached:
        calls = f"{stop.count} times" if stop.count != 1 else "once"
        never = "never" if not stop.count else f"only {calls}"
        raise ScriptError(
            f"{path} called run() {never}, so there is no simulation number {number} to mirror."
            " Give a script that runs a network itself, when it is started as a program."
        )


class _Stop:
    """Stands in for `Network.run`."""

    def __init__(self, look: Look, number: int) -> None:
        self.look, self.number = look, number
        self.count = 0
        self.reached = False
        self.error: BaseException | None = None

    @contextmanager
    def armed(self) -> Generator[None]:
        """Stop at the simulation while the script runs."""
        original = Network.run

        def run(
            network: Network,
            duration: Any,
            report: Any = None,
            report_period: Any = None,
            namespace: Mapping[str, Any] | None = None,
            profile: Any = None,
            level: int = 0,
        ) -> None:
            if namespace is None:
                namespace = get_local_namespace(level=level + 1)
            if self.reached:
                raise _Reached
            self.count += float(duration) > 0  # what takes no time only sets up
            if self.count < self.number or float(duration) <= 0:
                original(network, duration, namespace=namespace)
                return
            self.reached = True
            with mock.patch.object(Network, "run", original):
                try:
                    self.look(_explicit(network), duration, namespace)
                except BaseException as error:
                    self.error = error  # a script may catch what passes through it
            raise _Reached

        with mock.patch.object(Network, "run", run):
            yield


def _explicit(network: Network) -> Network:
    """A network that observers can be added to, with the objects of a magic one."""
    if not isinstance(network, MagicNetwork):
        return network
    network.check_dependencies()  # makes inactive what lacks its source, as a magic run does
    explicit = Network()
    ids = {obj.id for obj in network.objects}
    explicit.objects = {obj for obj in network.objects if ids.issuperset(obj._dependencies)}
    explicit.t_ = network.t_
    for obj in explicit.sorted_objects:
        obj._network = explicit.id
    return explicit


def _fault(path: Path, error: BaseException) -> str:
    """The script's own error and the line of the script that raised it."""
    if isinstance(error, SystemExit):
        return f"{path} ended itself with exit code {error.code} before it called run()."
    line, trace = None, error.__traceback__
    while trace:
        if Path(trace.tb_frame.f_code.co_filename) == path:
            line = trace.tb_lineno
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and line is None:
        line = error.lineno
    where = f"line {line} of {path}" if line else str(path)
    return f"{where} raised {chain(error)}"


def chain(error: BaseException) -> str:
    """An error with the errors that it came from."""
    text = f"{type(error).__name__}: {error}"
    return text if error.__cause__ is None else f"{text}\n  because of {chain(error.__cause__)}"


@contextmanager
def _like_a_script(path: Path, arguments: Sequence[str]) -> Generator[None]:
    """Arguments, search path and output of `python script.py`, without windows or input."""
    import matplotlib.pyplot as plt

    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(sys, "argv", [str(path), *arguments]))
        stack.enter_context(mock.patch.object(sys, "path", [str(path.parent.resolve()), *sys.path]))
        stack.enter_context(mock.patch.object(sys, "dont_write_bytecode", True))
        stack.enter_context(mock.patch.object(sys, "stdin", io.StringIO()))
        stack.enter_context(mock.patch.object(plt, "show", lambda *_, **__: None))
        stack.enter_context(redirect_stdout(sys.stderr))
        plt.switch_backend("agg")
        yield
        plt.close("all")


@contextmanager
def _numpy_only() -> Generator[None]:
    """Have Brian2 run here, on its numpy target, whatever the script asks for."""

    def code_object_class(*_: Any, **__: Any) -> type[NumpyCodeObject]:
        return NumpyCodeObject

    runtime = all_devices["runtime"]
    with (
        mock.patch.object(RuntimeDevice, "code_object_class", code_object_class),
        mock.patch.dict(all_devices, {STANDALONE: runtime}),
        _kept(prefs),
    ):
        yield


@contextmanager
def _kept(preferences: Any) -> Generator[None]:
    """Put Brian2's preferences back afterwards."""
    before = dict(preferences.prefs)
    try:
        yield
    finally:
        preferences.prefs.clear()
        preferences.prefs.update(before)


@contextmanager
def _in_this_process() -> Generator[None]:
    """Replace pools of processes, whose simulations could not be seen from here."""
    with (
        mock.patch.object(multiprocessing, "Pool", _Pool),
        mock.patch.object(multiprocessing.pool, "Pool", _Pool),
        mock.patch.object(multiprocessing, "Process", _Process),
    ):
        yield


@contextmanager
def _bounded() -> Generator[None]:
    """Refuse equations that Brian2 would not end to read."""
    parse = equations.parse_string_equations

    def bounded(text: str) -> Any:
        right = (line.partition("=")[2].partition(":")[0] for line in text.splitlines())
        require_small(("Equations", part) for part in right)
        return parse(text)

    with mock.patch.object(equations, "parse_string_equations", bounded):
        yield


class _Pool:
    """Does the work of `multiprocessing.Pool` at once."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __enter__(self) -> "_Pool":
        return self

    def __exit__(self, *_: object) -> None: ...

    def map(self, function: Callable[..., Any], items: Iterable[Any], *_: Any) -> list[Any]:
        return [function(item) for item in items]

    imap = imap_unordered = map

    def starmap(self, function: Callable[..., Any], items: Iterable[Any], *_: Any) -> list[Any]:
        return [function(*item) for item in items]

    def apply(self, function: Callable[..., Any], args: Any = (), kwds: Any = None) -> Any:
        return function(*args, **(kwds or {}))

    def map_async(self, *args: Any, **_: Any) -> "_Done":
        return _Done(self.map(*args))

    def apply_async(self, function: Callable[..., Any], args: Any = (), kwds: Any = None,
                    **_: Any) -> "_Done":  # fmt: skip
        return _Done(self.apply(function, args, kwds))

    def close(self) -> None: ...

    terminate = join = close


class _Done:
    """A result that is there already."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def get(self, timeout: float | None = None) -> Any:
        return self.value

    def wait(self, timeout: float | None = None) -> None: ...


class _Process:
    """Does the work of `multiprocessing.Process` when it is started."""

    def __init__(
        self,
        group: None = None,
        target: Callable[..., Any] | None = None,
        name: str | None = None,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> None:
        self.target, self.args, self.kwargs = target, args, dict(kwargs or {})

    def start(self) -> None:
        if self.target is not None:
            self.target(*self.args, **self.kwargs)

    def join(self, timeout: float | None = None) -> None: ...


@contextmanager
def _shadowed() -> Generator[None]:
    """Let the script write to copies in a temporary folder, never to its own files."""
    with tempfile.TemporaryDirectory(prefix="mirrorneuron_") as folder, ExitStack() as stack:
        shadow = _Shadow(Path(os.path.realpath(folder)))
        stack.enter_context(mock.patch.object(tempfile, "tempdir", folder))
        for module, name, stand_in in (
            (builtins, "open", shadow.open(builtins.open)),
            (io, "open", shadow.open(io.open)),
            (os, "mkdir", shadow.mkdir(os.mkdir)),
        ):
            stack.enter_context(mock.patch.object(module, name, stand_in))
        kept = np.lib._datasource._file_openers._file_openers  # pyright: ignore
        stack.enter_context(mock.patch.dict(kept, {None: shadow.open(io.open)}))
        stack.callback(_guard.release)
        _guard.watch(shadow)
        yield


class _Shadow:
    """Where each file that the script writes really is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def of(self, path: Any) -> Path:
        """Place of the copy."""
        return self.folder / Path(os.path.realpath(path)).relative_to("/")

    def is_free(self, path: Any) -> bool:
        """Whether writing there harms nothing: the copies themselves, devices and caches."""
        real = Path(os.path.realpath(path))
        return any(real.is_relative_to(f) for f in (self.folder, "/dev", Path.home() / ".cache"))

    def open(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """`open` that writes to the copy, and reads the copy where there is one."""

        def shadowed(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            if isinstance(file, int):
                return original(file, mode, *args, **kwargs)
            copy = self.of(file)
            if set(mode) & set("wax+") and not self.is_free(file):
                copy.parent.mkdir(parents=True, exist_ok=True)
                if "w" not in mode and os.path.exists(file) and not copy.exists():
                    shutil.copyfile(file, copy)
                return original(copy, mode, *args, **kwargs)
            return original(copy if copy.is_file() else file, mode, *args, **kwargs)

        return shadowed

    def mkdir(self, original: Callable[..., None]) -> Callable[..., None]:
        """`os.mkdir` that makes the folder among the copies."""

        def shadowed(path: Any, *args: Any, **kwargs: Any) -> None:
            if self.is_free(path):
                original(path, *args, **kwargs)
            elif os.path.isdir(path):
                raise FileExistsError(f"{path} exists")
            else:
                self.of(path).mkdir(parents=True, exist_ok=True)

        return shadowed


class _Guard:
    """Refuses changes of files that have no stand-in. Hooks of the interpreter stay for good."""

    def __init__(self) -> None:
        self.shadow: _Shadow | None = None
        self.hooked = False

    def watch(self, shadow: _Shadow) -> None:
        """Refuse from now on."""
        self.shadow = shadow
        if not self.hooked:
            sys.addaudithook(self._hear)
            self.hooked = True

    def release(self) -> None:
        """Refuse no longer."""
        self.shadow = None

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if self.shadow is None:
            return
        if event == "open":
            path, _, flags = args
            changes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if changes and isinstance(path, str | bytes) and not self.shadow.is_free(path):
                _refuse(path)
        elif event in CHANGES and not self.shadow.is_free(args[0]):
            _refuse(args[0])


def _refuse(path: Any) -> NoReturn:
    raise PermissionError(f"the script may not change {os.fsdecode(path)} while it is checked")


_guard = _Guard()
