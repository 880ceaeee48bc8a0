"""Throw-away real hosts on this machine, for rehearsals, demonstrations and tests. No knowledge of clusters."""

from bootstrap.errors import SandboxError
from bootstrap.sandbox.programs import why_not_here
from bootstrap.sandbox.sandbox import HostState, Sandbox

__all__ = ["HostState", "Sandbox", "SandboxError", "why_not_here"]
