"""Where the values of references come from: environment, files, a secrets file, commands. No value ever enters a message."""

import shlex
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from bootstrap.errors import InventoryError, Problem
from bootstrap.inventory.positions import find_reference
from bootstrap.inventory.repository import FileProblem, find_root, locate, read_repository_file, read_text_file
from bootstrap.model import Inventory, Reference, Secret

COMMAND_DEADLINE = 30.0  # seconds
RESOLVED = ("env", "file", "secret", "command")


class SecretProblem(Exception):  # noqa: N818 - becomes a Problem with a position
    """A reference has no value; `hint` says what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def resolve_references(
    inventory: Inventory, references: Iterable[Reference], environment: Mapping[str, str]
) -> dict[Reference, Secret]:
    """The values of references to the environment, files, the secrets file and commands, each looked up once.

    `generated` and `saved` references are left to whoever makes those values. Raises InventoryError with every
    reference that has no value, at the place where it stands.
    """
    vault = Vault(inventory, environment)
    values: dict[Reference, Secret] = {}
    problems: list[Problem] = []
    for reference in dict.fromkeys(references):
        if reference.kind not in RESOLVED:
            continue
        try:
            values[reference] = Secret(vault.read(reference))
        except (SecretProblem, FileProblem) as error:
            file, position, line = find_reference(inventory, reference.text)
            problems.append(Problem(file, position.line, position.column, str(error), error.hint, line))
    if problems:
        raise InventoryError(problems)
    return values


class Vault:
    """Reads values for one inventory; the secrets file is opened at most once."""

    def __init__(self, inventory: Inventory, environment: Mapping[str, str]) -> None:
        self.root = find_root(Path(inventory.file))
        self.secrets = inventory.secrets
        self.environment = environment
        self.opened: Mapping[str, Any] | SecretProblem | None = None

    def read(self, reference: Reference) -> str:
        """The value of a reference. Raises SecretProblem or FileProblem."""
        readers: dict[str, Callable[[str], str]] = {
            "env": self.read_variable,
            "file": self.read_file,
            "secret": self.read_secret,
            "command": self.run_command,
        }
        value = readers[reference.kind](reference.name)
        if not value:
            raise SecretProblem(f"{reference.text} is empty")
        if "\0" in value:
            raise SecretProblem(f"{reference.text} holds a NUL byte")
        return value

    def read_variable(self, name: str) -> str:
        if name not in self.environment:
            raise SecretProblem(f"the environment has no variable `{name}`", f"set it: {name}=... bootstrap ...")
        return self.environment[name]

    def read_file(self, name: str) -> str:
        """A file of the repository; one outside of git is named by an absolute path or from the home folder."""
        if name.startswith(("/", "~/")):
            return read_text_file(self.place(name), name).rstrip("\r\n")
        return read_repository_file(self.root, name).rstrip("\r\n")

    def place(self, name: str) -> Path:
        return locate(self.root, self.environment.get("HOME", "/root"), name)

    def run_command(self, words: str) -> str:
        """The standard output of a command, without its trailing newline."""
        try:
            arguments = shlex.split(words)
        except ValueError as error:
            raise SecretProblem(f"the command can't be split into words: {error}", "look at its quotes") from None
        return run(arguments, self.root, self.environment).rstrip("\r\n")

    def read_secret(self, key: str) -> str:
        """A value of the secrets file; a dot in the key goes one level down."""
        found: Any = self.open_secrets()
        for part in key.split("."):
            if not isinstance(found, Mapping) or part not in found:
                known = ", ".join(map(str, found)) if isinstance(found, Mapping) else ""
                raise SecretProblem(f"`{self.secrets}` has no key `{key}`", f"there are: {known}" if known else "")
            found = found[part]
        if not isinstance(found, str):
            raise SecretProblem(f"`{key}` in `{self.secrets}` is not text", "write its value in quotes")
        return found.rstrip("\r\n")  # a block of YAML ends with a line end, as a file does

    def open_secrets(self) -> Mapping[str, Any]:
        if self.opened is None:
            try:
                self.opened = self.load_secrets()
            except (SecretProblem, FileProblem) as error:
                self.opened = SecretProblem(str(error), error.hint)
        if isinstance(self.opened, SecretProblem):
            raise self.opened
        return self.opened

    def load_secrets(self) -> Mapping[str, Any]:
        if self.secrets is None:
            raise SecretProblem("no secrets file is named", "name it, for example secrets: secrets.sops.yaml")
        path = self.place(self.secrets)
        content = parse_secrets(read_text_file(path, self.secrets), self.secrets)
        if "sops" in content:
            return parse_secrets(decrypt(path, self.root, self.environment), self.secrets)
        refuse_tracked(path, self.secrets, self.environment)
        return content


def parse_secrets(text: str, name: str) -> Mapping[str, Any]:
    """A YAML mapping whose scalars are all text, as written. The parser's own words could quote a value: they are not told."""
    import yaml

    try:
        content = yaml.load(text, Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))  # noqa: S506 - builds text only
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise SecretProblem(f"`{name}` is not YAML{where}") from None
    if not isinstance(content, Mapping):
        raise SecretProblem(f"`{name}` must be a mapping of names to values")
    return content


def decrypt(path: Path, folder: Path, environment: Mapping[str, str]) -> str:
    """The clear text of a sops file, by the sops program."""
    try:
        return run(["sops", "-d", str(path)], folder, environment)
    except SecretProblem as error:
        if "not installed" in str(error):
            hint = "install sops (one binary: github.com/getsops/sops), and have the age key in SOPS_AGE_KEY_FILE"
            raise SecretProblem(f"`{path.name}` is encrypted by sops, which is not installed here", hint) from None
        raise SecretProblem(f"`{path.name}` can't be decrypted: {error}", error.hint) from None


def refuse_tracked(path: Path, name: str, environment: Mapping[str, str]) -> None:
    """A secrets file in clear must not be in git."""
    try:
        run(["git", "ls-files", "--error-unmatch", path.name], path.parent, environment)
    except SecretProblem:
        return
    hint = "encrypt it with sops, or take it out of git; what it held is known to whoever has the history"
    raise SecretProblem(f"`{name}` is in git in clear", hint)


def run(arguments: list[str], folder: Path, environment: Mapping[str, str]) -> str:
    """Standard output of a program that is run without a shell. Raises SecretProblem; its output is never told."""
    if not arguments:
        raise SecretProblem("the command is empty")
    name = arguments[0]
    try:
        done = subprocess.run(
            arguments,
            cwd=folder,
            env=dict(environment),
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=COMMAND_DEADLINE,
        )
    except FileNotFoundError:
        raise SecretProblem(f"`{name}` is not installed here") from None
    except (OSError, ValueError) as error:
        raise SecretProblem(f"`{name}` can't be run: {error}") from None
    except subprocess.TimeoutExpired:
        raise SecretProblem(
            f"`{name}` did not end within {COMMAND_DEADLINE:.0f} s", "does it wait for a passphrase?"
        ) from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise SecretProblem(
            f"`{name}` ended with exit code {done.returncode}", f"it says: {said[-1][:200]}" if said else ""
        )
    try:
        return done.stdout.decode()
    except UnicodeDecodeError:
        raise SecretProblem(f"the output of `{name}` is not UTF-8 text") from None
