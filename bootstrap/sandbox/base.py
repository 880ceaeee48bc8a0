"""The base tree: the Debian that all hosts of an init have in common, made once and kept in the user's cache."""

import contextlib
import fcntl
import hashlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from bootstrap.errors import SandboxError
from bootstrap.sandbox.programs import call, environment
from bootstrap.sandbox.recipe import LEFT_OUT, RECIPES, SUITE, Recipe

GUEST = Path(__file__).parent / "guest"


def cache_folder() -> Path:
    """Where base trees are kept between runs."""
    from platformdirs import user_cache_path

    return user_cache_path("bootstrap") / "sandbox"


def ensure(init: str, tell: Callable[[str], None]) -> Path:
    """The base tree of `init`; made first when there is none. Raises SandboxError when it cannot be made."""
    recipe = RECIPES[init]
    tree = cache_folder() / f"base-{init}-{_hash(recipe)}"
    if tree.exists():
        return tree
    tree.parent.mkdir(parents=True, exist_ok=True)
    with _locked(tree.parent):
        if not tree.exists():  # another process may have made it while this one waited
            tell(f"making the base tree of {init} hosts, once, about 40 seconds")
            _remove_outdated(tree.parent, init)
            _make(tree, recipe)
    return tree


def _hash(recipe: Recipe) -> str:
    """Changes with all that decides what is in the tree."""
    digest = hashlib.sha256(repr((SUITE, LEFT_OUT, recipe)).encode())
    for source, place in _guest_files(recipe):
        digest.update(f"{place}\0".encode() + source.read_bytes())
    return digest.hexdigest()[:12]


def _guest_files(recipe: Recipe) -> list[tuple[Path, Path]]:
    """Each guest file with its place below the root of the tree."""
    folders = [GUEST / name for name in recipe.guest]
    return [
        (path, path.relative_to(folder)) for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()
    ]


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def hold(tree: Path) -> None:
    """Keep a base tree from being removed as outdated until this process ends."""
    fcntl.flock(os.open(tree, os.O_RDONLY | os.O_DIRECTORY), fcntl.LOCK_SH)


def _remove_outdated(folder: Path, init: str) -> None:
    """Remove trees of older recipes that no sandbox holds, and halves that an interrupted run left."""
    for tree in folder.glob(f"base-{init}-*"):
        handle = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _delete(tree)
        os.close(handle)


def _delete(tree: Path) -> None:
    call(["rm", "-rf", "--one-file-system", "--", tree])


def _make(tree: Path, recipe: Recipe) -> None:
    unfinished = tree.with_name(f"{tree.name}.unfinished")
    try:
        _install_debian(unfinished, recipe.packages)
        for source, place in _guest_files(recipe):
            call(["install", "-D", "--mode=644", source, unfinished / place])
        call(["chroot", unfinished, "/bin/sh", "-eu"], recipe.set_up)
        unfinished.rename(tree)
    finally:
        _delete(unfinished)


def _install_debian(tree: Path, packages: tuple[str, ...]) -> None:
    leave_out = [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    words = ["mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", f"--include={','.join(packages)}", *leave_out]
    source = [f"deb {mirror} {SUITE} main"] if (mirror := _mirror()) else []
    done = subprocess.run(
        [*words, SUITE, tree, *source], env=_with_proxies(), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    if done.returncode:
        raise SandboxError(
            "the base tree of sandbox hosts cannot be made",
            why="\n".join(done.stderr.strip().splitlines()[-8:]),
            next_step="check that apt-get update works on this machine; BOOTSTRAP_SANDBOX_MIRROR names another Debian mirror",
        )


def _with_proxies() -> dict[str, str]:
    return environment() | {name: text for name, text in os.environ.items() if name.lower().endswith("_proxy")}


def _mirror() -> str | None:
    """The Debian mirror that this machine uses itself; None leaves the choice to mmdebstrap."""
    if given := os.environ.get("BOOTSTRAP_SANDBOX_MIRROR"):
        return given
    for path in (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list")):
        for line in path.read_text().splitlines() if path.exists() else ():
            words = line.split()
            if words and words[0] in ("URIs:", "deb"):
                urls = [word for word in words if word.startswith(("http://", "https://")) and "debian" in word]
                if urls:
                    return urls[0]
    return None
