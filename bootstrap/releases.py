"""Versions of releases that follow Kubernetes' numbers: their order, and what is said of unknown minors. No distribution is named."""

import re
from dataclasses import dataclass
from functools import total_ordering

Series = tuple[int, int]


@total_ordering
@dataclass(frozen=True)
class Version:
    """`vX.Y.Z` with a distribution's own `build` number, or a stage of it such as `rc.N`, which comes before the release."""

    major: int
    minor: int
    patch: int
    stage: str = ""  # alpha, beta, rc; empty for a release
    number: int = 0
    build: int = 0

    @property
    def series(self) -> Series:
        return (self.major, self.minor)

    @property
    def order(self) -> tuple[int, int, int, str, int, int]:
        stage = self.stage or "~"  # ~ sorts behind letters
        return (self.major, self.minor, self.patch, stage, self.number, self.build)

    def __lt__(self, other: "Version") -> bool:
        return self.order < other.order


def read_version(grammar: re.Pattern[str], text: str, product: str) -> Version:
    """By the grammar's named groups: major, minor, patch, stage, number, and build where releases have one.

    Raises ValueError for what is no release of the product.
    """
    match = grammar.fullmatch(text)
    if match is None:
        raise ValueError(f"{text} is no {product} version")
    found = match.groupdict()
    numbers = {name: int(found.get(name) or 0) for name in ("major", "minor", "patch", "number", "build")}
    return Version(stage=found.get("stage") or "", **numbers)


def note_series(product: str, series: Series, oldest: Series, newest: Series) -> str:
    """A remark on a minor that this program was not made with; empty for one that it was."""
    minor = f"{series[0]}.{series[1]}"
    known = f"{oldest[0]}.{oldest[1]} to {newest[0]}.{newest[1]}"
    if series < oldest:
        return f"{product} {minor} is out of upstream's support; this program was made with {known}"
    if series > newest:
        return f"{product} {minor} is newer than this program, which was made with {known}"
    return ""
