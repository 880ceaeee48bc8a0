"""The ways to become root: what to say to the host, and what its refusals mean. Pure text. No I/O."""

import re
from dataclasses import dataclass

from bootstrap import shell
from bootstrap.model import Escalation
from bootstrap.transport.framing import LOADER

TOOLS = {
    Escalation.AUTO: ("sudo", "doas"),
    Escalation.SUDO: ("sudo",),
    Escalation.DOAS: ("doas",),
    Escalation.NONE: (),
}

# Tries each tool without asking anybody, says which one it took, and becomes it: no round trip of its own.
_CHOOSE = r"""
LC_ALL=C; export LC_ALL
say() { printf '\n%s %s\n' "$mark" "$1"; }
if [ "$(id -u)" = 0 ]; then say 'way root'; exec sh -c "$loader"; fi
for tool in $tools; do
  if ! command -v "$tool" >/dev/null 2>&1; then say "refused $tool: not installed"; continue; fi
  if why=$("$tool" -n sh -c : </dev/null 2>&1); then say "way $tool"; exec "$tool" -n sh -c "$loader"; fi
  say "refused $tool: $(printf %s "$why" | tr '\n' ' ')"
done
say done
"""

# -k: never a remembered password, so that the prompt comes always or never. Nothing but the password is sent
# until the shell behind sudo has said $reached: a second question would eat the script as an answer.
_ASK = r"""
LC_ALL=C; export LC_ALL
exec sudo -S -k -p "$prompt" sh -c 'printf "\n%s\n" "$1"; eval "$2"' sh "$reached" "$loader"
"""


@dataclass(frozen=True)
class Way:
    """How commands of one host become root. `tool` is empty for a user who is root, or who shall not become it."""

    tool: str = ""
    asks: bool = False  # sudo wants the password
    terminal: bool = False  # sudo wants a terminal (requiretty)


@dataclass(frozen=True)
class Refusal:
    """No tool made us root; `reasons` are the tools' own words."""

    reasons: tuple[str, ...] = ()

    @property
    def wants_password(self) -> bool:
        """sudo, old sudo ("sorry, a password is required") and sudo-rs ("interactive authentication")."""
        return self._sudo_says(r"password is required|authentication is required")

    @property
    def wants_terminal(self) -> bool:
        return self._sudo_says(r"must have a tty|terminal is required to run sudo")

    def _sudo_says(self, pattern: str) -> bool:
        return any("sudo" in reason and re.search(pattern, reason) for reason in self.reasons)

    def __str__(self) -> str:
        return "; ".join(self.reasons) or "the host did not say why"


def choosing(escalation: Escalation, mark: str) -> str:
    """A stage that finds the way by itself. Marked lines: `way TOOL`, `refused TOOL: WORDS`, `done`."""
    return shell.assign({"mark": mark, "loader": LOADER, "tools": " ".join(TOOLS[escalation])}) + _CHOOSE


def becoming(way: Way) -> str:
    """A stage that takes a known way which needs no answer; empty when there is nothing to become."""
    return shell.join(("exec", way.tool, "-n", "sh", "-c", LOADER)) if way.tool else ""


def asking(prompt: str, reached: str) -> str:
    """A stage in which sudo asks with `prompt`; the shell behind it says `reached`. Both are random."""
    return shell.assign({"loader": LOADER, "prompt": prompt, "reached": reached}) + _ASK


def next_way(refusal: Refusal, tried: Way) -> Way | None:
    """What else may work after `tried` was refused; None: nothing. A terminal is the last resort."""
    if refusal.wants_password and not tried.asks:
        return Way("sudo", asks=True, terminal=tried.terminal)
    if refusal.wants_terminal and not tried.terminal:
        return Way("sudo", terminal=True)
    return None


def rule(user: str) -> str:
    """The cure that needs nobody at a terminal."""
    return f"put '{user} ALL=(ALL) NOPASSWD: ALL' into /etc/sudoers.d/{user} on the host"
