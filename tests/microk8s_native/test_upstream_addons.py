"""The table of add-ons against the core repository's own scripts, where a clone with its branches is given."""

import os
import re
import subprocess

import pytest
import yaml

from bootstrap.distros.microk8s.addon_table import CORE
from bootstrap.distros.microk8s.versions import NEWEST, OLDEST

CLONE = os.environ.get("MICROK8S_CORE_ADDONS", "")  # a clone of canonical/microk8s-core-addons
MINORS = [(1, minor) for minor in range(OLDEST[1], NEWEST[1] + 1)]
HIDDEN = {"--help", "--requires", "--install-kubebench", "--dns-addon", "--helm-addon"}

pytestmark = pytest.mark.skipif(not CLONE, reason="MICROK8S_CORE_ADDONS names no clone of the core add-ons")


def show(series, path):
    """A file of a minor's branch; the newest minor may have none yet, and is `main` then."""
    for branch in (f"{series[0]}.{series[1]}", "main"):
        done = subprocess.run(["git", "-C", CLONE, "show", f"{branch}:{path}"], capture_output=True, text=True)
        if done.returncode == 0:
            return done.stdout
    raise AssertionError(f"no {path} for {series}")


def read_flags(script):
    """The flags that a script takes, in whatever way it reads them."""
    found = set()
    for options in re.findall(r"click\.option\((.*?)\)\n", script, re.DOTALL):
        if "hidden=True" not in options:
            found |= {name for text in re.findall(r'"(-[^"]+)"', options) for name in text.split("/")}
    for letters in re.findall(r'getopts ":?([\w:]+)"', script):
        found |= {f"-{letter}" for letter in letters.replace(":", "") if letter != "h"}
    found |= set(re.findall(r"^\s+(--?[\w-]+)(?:=\*)?\)", script, re.MULTILINE))
    for names in re.findall(r"^\s+(-\w)\|(--[\w-]+)\)", script, re.MULTILINE):
        found |= set(names)
    return found - HIDDEN - {"-h", "--"}


@pytest.mark.parametrize("series", MINORS, ids=str)
def test_the_table_has_the_add_ons_of_each_minor(series):
    listed = yaml.safe_load(show(series, "addons.yaml"))["microk8s-addons"]["addons"]
    theirs = {addon["name"]: addon for addon in listed}
    ours = {addon.name: addon for addon in CORE if addon.is_in(series)}
    assert set(ours) == set(theirs)
    for name, addon in ours.items():
        if not addon.dead:
            assert addon.is_classic == (theirs[name].get("confinement") == "classic"), name
            assert set(addon.arches) == {"amd64", "arm64"} & set(theirs[name]["supported_architectures"]), name


@pytest.mark.parametrize("series", MINORS, ids=str)
def test_the_table_has_the_flags_that_the_scripts_read(series):
    for addon in CORE:
        if addon.is_in(series) and not addon.dead:
            ours = {each for flag in addon.flags if flag.since <= series for each in flag.names}
            assert ours == read_flags(show(series, f"addons/{addon.name}/enable")), addon.name
