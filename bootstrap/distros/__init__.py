"""The distributions by name: one line each. Imported when asked for, so that no command pays for all."""

from importlib import import_module

from bootstrap.driver import Driver

DISTROS = {
    "k3s": "bootstrap.distros.k3s",
    "kubeadm": "bootstrap.distros.kubeadm",
    "k0s": "bootstrap.distros.k0s",
    "microk8s": "bootstrap.distros.microk8s",
}


def find_driver(name: str) -> Driver:
    """The driver of a distribution. Raises KeyError for an unknown name."""
    driver: Driver = import_module(DISTROS[name]).DRIVER
    return driver
