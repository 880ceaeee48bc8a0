"""What can be said of an add-on: its arguments and their forms, the objects that prove it. Values only; the data is elsewhere."""

from dataclasses import dataclass
from enum import StrEnum

from bootstrap.distros.microk8s.versions import OLDEST, Series


class Form(StrEnum):
    """The form of one argument, in the words of messages and docs."""

    RANGES = "RANGE[,RANGE]"
    SERVERS = "IP[,IP]"
    ADDRESS = "IP"
    DOMAIN = "DOMAIN"
    SIZE = "SIZE"  # whole Gi, 20 or more
    QUANTITY = "QUANTITY"
    NUMBER = "N"
    VERSION = "VERSION"
    URL = "URL"
    FILE = "FILE"  # on the controller where the command runs
    NAME = "NAME"
    SECRET = "NAMESPACE/NAME"  # noqa: S105 - the name of a Secret
    SETTING = "KEY=VALUE"
    BOOL = "true|false"


class Spelling(StrEnum):
    """How a flag takes its value."""

    EITHER = "`--flag V` or `--flag=V`"
    APART = "`--flag V`"
    JOINED = "`--flag=V`"


@dataclass(frozen=True)
class Word:
    """A positional argument; `key` stands before it, as in `ip=10.0.1.1`."""

    form: Form
    is_required: bool = False
    key: str = ""
    since: Series = OLDEST


@dataclass(frozen=True)
class Flag:
    """A flag by its names; without `form` it takes no value."""

    names: tuple[str, ...]
    form: Form | None = None
    choices: tuple[str, ...] = ()
    spelling: Spelling = Spelling.EITHER
    is_required: bool = False
    since: Series = OLDEST

    @property
    def takes_value(self) -> bool:
        return self.form is not None or bool(self.choices)


@dataclass(frozen=True)
class Ready:
    """An object that proves an add-on: it must be there, and available where it is a workload."""

    kind: str
    name: str
    namespace: str = ""  # empty for what has none
    unless: str = ""  # a flag with which it is not made


@dataclass(frozen=True)
class Addon:
    """One add-on over a span of minors; the next entry of the same name goes on where it ends.

    `needs` are those that its own script enables first. `dead` says why it can't be enabled, `hint` what to do instead.
    `loses` says what is gone after `disable`, and `disable` the words that it wants, so that it does not ask on stdin.
    `lists_nodes`: it looks at the nodes that are there, so it is enabled anew when one joins.
    """

    name: str
    what: str
    words: tuple[Word, ...] = ()
    flags: tuple[Flag, ...] = ()
    needs: tuple[str, ...] = ()
    ready: tuple[Ready, ...] = ()
    since: Series = OLDEST
    before: Series | None = None
    dead: str = ""
    hint: str = ""
    loses: str = ""
    disable: tuple[str, ...] = ()
    is_classic: bool = False
    is_per_node: bool = False
    lists_nodes: bool = False
    wants_internet: bool = False
    arches: tuple[str, ...] = ("amd64", "arm64")
    note: str = ""

    def is_in(self, series: Series) -> bool:
        return self.since <= series and (self.before is None or series < self.before)
