"""bootstrap: one inventory in git, the same Kubernetes cluster every time."""

__version__ = "0.1.0"
