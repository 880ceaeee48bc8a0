"""The values that flow through the program: frozen, standard library only, no I/O."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bootstrap.model.files import Artifact, Lock, LockedFile, digest, digest_value
    from bootstrap.model.observed import (
        Facts,
        FileFacts,
        Finding,
        HostFacts,
        Interface,
        Lease,
        Probe,
        Record,
        UnitFacts,
    )
    from bootstrap.model.outcome import Check, CommandResult, Report, Status, StepResult
    from bootstrap.model.planned import Action, Disruption, Fetch, Plan, Put, Run, Stage, Step, Wait
    from bootstrap.model.wanted import (
        Addon,
        Connection,
        Endpoint,
        Escalation,
        Hook,
        Host,
        Inventory,
        Jump,
        Network,
        OtherHost,
        PlacedFile,
        Position,
        Reference,
        Role,
        Secret,
        Taint,
    )

__all__ = [
    "Action",
    "Addon",
    "Artifact",
    "Check",
    "CommandResult",
    "Connection",
    "Disruption",
    "Endpoint",
    "Escalation",
    "Facts",
    "Fetch",
    "FileFacts",
    "Finding",
    "Hook",
    "Host",
    "HostFacts",
    "Interface",
    "Inventory",
    "Jump",
    "Lease",
    "Lock",
    "LockedFile",
    "Network",
    "OtherHost",
    "PlacedFile",
    "Plan",
    "Position",
    "Probe",
    "Put",
    "Record",
    "Reference",
    "Report",
    "Role",
    "Run",
    "Secret",
    "Stage",
    "Status",
    "Step",
    "StepResult",
    "Taint",
    "UnitFacts",
    "Wait",
    "digest",
    "digest_value",
]

MODULES = ("wanted", "files", "observed", "planned", "outcome")  # each imports only from those before it

if not TYPE_CHECKING:  # a type checker would take any name for one of ours

    def __getattr__(name: str) -> object:
        """Import the module of a value when the value is first named.

        A frozen dataclass takes most of a millisecond to make, and commands such as `validate` use a few of them.
        """
        for module in MODULES if name in __all__ else ():
            found = getattr(import_module(f"{__name__}.{module}"), name, None)
            if found is not None:
                globals()[name] = found
                return found
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
