"""What one command works with: the inventory, its driver, lock, secrets and connections, each read once. Opens; decides nothing."""

# annotations stay text: the values they name are imported only by who makes them
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bootstrap.driver import Driver, PlanInput
from bootstrap.errors import BootstrapError, InventoryError, LockError, Problem, SecretError, TransportError
from bootstrap.model import Secret
from bootstrap.references import fill_references, find_references

if TYPE_CHECKING:
    from bootstrap.connections import Connections, Open
    from bootstrap.model import Artifact, Facts, Inventory, Lock, Reference
    from bootstrap.redact import Redactor

LOCK_FILE = "artifacts.lock"
KNOWN_HOSTS_FILE = "known_hosts"
TOKEN_LENGTH = 24  # bytes of randomness in a token that we make


@dataclass
class Session:
    """One run on one inventory. `environment` is the process's; `known_hosts` overrides the repository's file."""

    path: Path
    environment: Mapping[str, str]
    ask: Callable[[str], str | None] = lambda _prompt: None
    known_hosts: Path | None = None
    open_host: Open | None = None
    _values: dict[str, Secret] = field(default_factory=dict)

    # --- read once ---------------------------------------------------------------------------

    @cached_property
    def inventory(self) -> Inventory:
        from bootstrap.inventory import load_inventory

        inventory = load_inventory(self.path, self.environment)
        return replace(inventory, mirror=self.environment.get("BOOTSTRAP_MIRROR") or inventory.mirror)

    @cached_property
    def driver(self) -> Driver:
        from bootstrap.distros import find_driver

        return find_driver(self.inventory.distro)

    @cached_property
    def root(self) -> Path:
        from bootstrap.inventory.repository import find_root

        return find_root(self.path)

    @cached_property
    def known_hosts_path(self) -> Path:
        return self.known_hosts or self.root / KNOWN_HOSTS_FILE

    @cached_property
    def lock(self) -> Lock:
        """Raises LockError when there is none yet."""
        from bootstrap.lock import parse_lock

        path = self.root / LOCK_FILE
        if not path.exists():
            raise LockError(f"there is no {LOCK_FILE} yet", where=str(path), next_step=f"bootstrap lock {self.path}")
        return parse_lock(path.read_text(), file=str(path))

    @cached_property
    def connections(self) -> Connections:
        from bootstrap.connections import Connections, ssh_opener

        return Connections(self.open_host or ssh_opener(self.inventory, str(self.known_hosts_path), self.ask))

    def close(self) -> None:
        if "connections" in self.__dict__:
            self.connections.close()

    # --- secrets -----------------------------------------------------------------------------

    @cached_property
    def redactor(self) -> Redactor:
        from bootstrap.redact import Redactor

        return Redactor()

    def resolve(self, references: Sequence[Reference], facts: Facts) -> Mapping[str, Secret]:
        """Values by the reference's text; each is read once a run, and known to the redactor from then on."""
        from bootstrap.secrets import resolve_references

        missing = [ref for ref in dict.fromkeys(references) if ref.text not in self._values and ref.kind != "saved"]
        outside = [ref for ref in missing if ref.kind != "generated"]
        found = {
            ref.text: value for ref, value in resolve_references(self.inventory, outside, self.environment).items()
        }
        found |= {ref.text: self._generate(facts) for ref in missing if ref.kind == "generated"}
        self.redactor.add(*found.values())
        self._values |= found
        self._check_token()
        return self._values

    def _generate(self, facts: Facts) -> Secret:
        """A token that no one gave: the cluster's own where there is one, else a new one, kept on the controllers only."""
        import secrets

        return Secret(self.driver.token_from(facts) or secrets.token_hex(TOKEN_LENGTH))

    def _check_token(self) -> None:
        token = self.inventory.token
        problem = (
            self.driver.check_token(self._values[token.text].reveal()) if token and token.text in self._values else ""
        )
        if problem:
            position = self.inventory.positions.get(("token",))
            line, column = (position.line, position.column) if position else (1, 1)
            raise InventoryError(
                [
                    Problem(
                        self.inventory.file, line, column, f"the token behind {token.text if token else ''}: {problem}"
                    )
                ]
            )

    def fill_text(self, text: str) -> str:
        """A text with references, filled before any host was asked."""
        self.resolve(list(find_references(text)), {})
        return self.fill(text, {})

    def fill(self, text: str, saved: Mapping[str, Secret]) -> str:
        """The text with values in place of references, for the wire only."""

        def value_of(reference: Reference) -> str:
            value = saved.get(reference.name) if reference.kind == "saved" else self._values.get(reference.text)
            if value is None:
                raise BootstrapError(f"{reference.text} has no value")
            return value.reveal()

        return fill_references(text, value_of)

    def _fill_artifact(self, artifact: Artifact) -> str:
        """Raises SecretError for a value that would break the YAML around it: it is filled in between quotes."""
        if artifact.path.endswith((".yaml", ".yml")):
            for reference in find_references(artifact.content):
                if set(self._values[reference.text].reveal()) & set("'\"\\\n\r"):
                    raise SecretError(
                        f"the value behind {reference.text} has a quote, a backslash or a line break in it",
                        where=artifact.path,
                        why="it could not stand in a YAML file as it is",
                    )
        return self.fill(artifact.content, {})

    # --- inputs of a plan --------------------------------------------------------------------

    def render(self, facts: Facts | None = None) -> tuple[Artifact, ...]:
        """Every file of every host; before there is a lock, without checksums."""
        from bootstrap.render import render

        lock = self.lock if (self.root / LOCK_FILE).exists() else None
        uses = self.driver.templates(self.inventory, facts, lock)
        return render(self.inventory, uses, (self.root / "templates",))

    def make_input(self, facts: Facts, failed: Mapping[str, TransportError]) -> PlanInput:
        """Everything that planning needs, as values. Raises InventoryError, RenderError, LockError."""
        artifacts = self.render(facts)
        texts = [*(artifact.content for artifact in artifacts), *(hook.script for hook in self.inventory.hooks)]
        references = [reference for text in texts for reference in find_references(text)]
        if self.inventory.token:
            references.append(self.inventory.token)
        values = self.resolve(references, facts)
        self.redactor.add(
            *(value for host in facts.values() for value in host.values.values() if isinstance(value, Secret))
        )
        known = [a for a in artifacts if not any(ref.kind == "saved" for ref in find_references(a.content))]
        filled = {(a.host, a.path): self._fill_artifact(a) for a in known if a.has_references}
        return PlanInput(
            self.inventory, artifacts, facts, self.lock, filled, secrets=dict(values), unreachable=tuple(failed)
        )
