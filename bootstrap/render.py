"""Templates and variables to files as text; and the rendered tree that is kept in git. Asks no host, holds no secret."""

import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any

from bootstrap.driver import TemplateUse
from bootstrap.errors import RenderError
from bootstrap.model import Artifact, Inventory
from bootstrap.shell import quote
from bootstrap.yaml_text import to_yaml

CLUSTER = "_cluster"  # in place of a host: a file of the whole cluster, which no host gets
SIZE_LIMIT = 1024 * 1024  # characters of one file
TIME_LIMIT = 5.0  # seconds for one file
STEP_LIMIT = 1_000_000  # turns of all loops over range() of one file


def shipped_templates() -> Path:
    """The folder of the templates that come with the program: inside the wheel, or beside the package in a checkout."""
    package = Path(__file__).parent
    inside = package / "templates"
    return inside if inside.is_dir() else package.parent / "templates"


def render(inventory: Inventory, uses: Sequence[TemplateUse], folders: Sequence[Path] = ()) -> tuple[Artifact, ...]:
    """All files, in the order of `uses`. References stay as they are.

    Templates are looked up as `<folder>/<distro>/<template>`, in the folders given before the shipped ones.
    Raises RenderError with the template's file and line.
    """
    environment = _make_environment([*folders, shipped_templates()])
    return tuple(_render_use(environment, inventory.distro, use) for use in uses)


def _make_environment(folders: Sequence[Path]) -> Any:  # noqa: ANN401 - jinja2 is imported only when it is used
    from jinja2 import FileSystemLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader([str(folder) for folder in folders]),
        undefined=StrictUndefined,
        autoescape=False,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(to_yaml=to_yaml, quote=quote)
    environment.intercepted_binops = frozenset(["*", "**"])
    environment.binop_table.update({"*": _multiply, "**": _raise_power})
    return environment


def _render_use(environment: Any, distro: str, use: TemplateUse) -> Artifact:  # noqa: ANN401
    from jinja2 import TemplateError, TemplateNotFound

    name = f"{distro}/{use.template}"
    try:
        template = environment.get_template(name)
        content = _collect(template.generate({**use.variables, "range": _counted_range()}))
    except TemplateNotFound as error:
        looked = " and ".join(environment.loader.searchpath)
        raise RenderError(f"there is no template {error.name}", where=use.host, why=f"looked in {looked}") from error
    except (
        TemplateError,
        TypeError,
        ValueError,
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
    ) as error:
        what = f"{use.path} of {use.host} can't be rendered: {error}"
        raise RenderError(
            what, where=_find_place(error, environment.loader.searchpath), next_step="correct the template"
        ) from error
    return Artifact(use.host, use.path, content, use.mode, use.owner)


def _find_place(error: BaseException, folders: Sequence[str]) -> str:
    """`file:line` in the innermost template: of a syntax error as it says, else from the traceback that jinja2 rewrites."""
    if getattr(error, "filename", None) and getattr(error, "lineno", None):
        return f"{error.filename}:{error.lineno}"  # type: ignore[attr-defined]
    lines = ((trace.tb_frame.f_code.co_filename, trace.tb_lineno) for trace in _walk(error.__traceback__))
    found = [f"{file}:{line}" for file, line in lines if file.startswith(tuple(folders))]
    return found[-1] if found else ""


def _walk(trace: TracebackType | None) -> Iterator[TracebackType]:
    while trace:
        yield trace
        trace = trace.tb_next


# --- bounds: a template is a program, and may be wrong ---------------------------------------------


def _collect(pieces: Iterator[str]) -> str:
    collected, size, deadline = [], 0, time.monotonic() + TIME_LIMIT
    for piece in pieces:
        collected.append(piece)
        size += len(piece)
        if size > SIZE_LIMIT:
            raise ValueError(f"it grows beyond {SIZE_LIMIT // 1024} KiB")
        if time.monotonic() > deadline:
            raise ValueError(f"it takes more than {TIME_LIMIT:g} seconds")
    return "".join(collected)


def _counted_range() -> Any:  # noqa: ANN401 - a function with the signatures of range
    left = STEP_LIMIT

    def counted(*bounds: int) -> range:
        nonlocal left
        turns = range(*bounds)
        left -= len(turns)
        if left < 0:
            raise ValueError(f"its loops take more than {STEP_LIMIT} turns")
        return turns

    return counted


def _multiply(left: Any, right: Any) -> Any:  # noqa: ANN401 - numbers, or text and a number
    for repeated, times in ((left, right), (right, left)):
        if isinstance(repeated, str | list | tuple) and isinstance(times, int) and len(repeated) * times > SIZE_LIMIT:
            raise ValueError(f"it grows beyond {SIZE_LIMIT // 1024} KiB")
    return left * right


def _raise_power(left: Any, right: Any) -> Any:  # noqa: ANN401
    if abs(right) > 64:
        raise ValueError("a power above 64 has no place in a template")
    return left**right


# --- the tree in git -----------------------------------------------------------------------------


def write_tree(artifacts: Iterable[Artifact], folder: Path) -> list[str]:
    """Make `folder` (rendered/<cluster>) hold `<host>/<path>` for each artifact, and nothing else below its hosts' folders.

    Files change whole or not at all, unchanged ones are left alone. What stands in `folder` itself is not ours.
    Returns what changed, one line each. Raises RenderError when a path would leave the folder.
    """
    wanted = _place(artifacts, folder)
    changes = _compare(wanted, folder)
    for path, content in wanted.items():
        if _read(path) != content:
            _write(path, content)
    for path in _find_stale(wanted, folder):
        path.unlink()
        _remove_empty(path.parent, folder)
    return changes


def compare_tree(artifacts: Iterable[Artifact], folder: Path) -> list[str]:
    """What `write_tree` would change in `folder`, one line each; empty when the tree is as it should be."""
    return _compare(_place(artifacts, folder), folder)


def _compare(wanted: Mapping[Path, str], folder: Path) -> list[str]:
    actual = {path: _read(path) for path in wanted}
    lines = [
        f"{path.relative_to(folder)} {'is missing' if actual[path] is None else 'differs'}"
        for path, content in wanted.items()
        if actual[path] != content
    ]
    return lines + [f"{path.relative_to(folder)} belongs to nothing any more" for path in _find_stale(wanted, folder)]


def _place(artifacts: Iterable[Artifact], folder: Path) -> dict[Path, str]:
    placed: dict[Path, str] = {}
    for artifact in artifacts:
        parts = (*_folder_of(artifact.host), *PurePosixPath(artifact.path).parts[1:])
        if (
            not artifact.path.startswith("/")
            or len(PurePosixPath(artifact.path).parts) < 2
            or not all(_is_plain(part) for part in parts)
        ):
            raise RenderError(f"{artifact.path} can't be a file on a host", where=artifact.host)
        placed[folder.joinpath(*parts)] = artifact.content
    return placed


def _folder_of(host: str) -> tuple[str, ...]:
    """A host's own folder; what is the whole cluster's stands beside the hosts."""
    return () if host == CLUSTER else (host,)


def _is_plain(part: str) -> bool:
    return part not in ("", ".", "..") and "/" not in part and "\0" not in part


def _find_stale(wanted: Mapping[Path, str], folder: Path) -> list[Path]:
    """Files below the hosts' folders that no artifact stands for. Links are not followed."""
    below = (Path(root) / name for root, _, names in os.walk(folder) if Path(root) != folder for name in names)
    return sorted(path for path in below if path not in wanted)


def _read(path: Path) -> str | None:
    if path.is_symlink() or not path.is_file():
        return None
    return path.read_bytes().decode(errors="surrogateescape")


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("wb", dir=path.parent, prefix=".", delete=False) as file:
        file.write(content.encode())
        os.fchmod(file.fileno(), 0o644)
    Path(file.name).replace(path)


def _remove_empty(path: Path, top: Path) -> None:
    while path != top and not any(path.iterdir()):
        path.rmdir()
        path = path.parent
