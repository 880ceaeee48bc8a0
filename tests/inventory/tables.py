"""Rows of bad inventories: the mark » stands where the problem must be reported."""

from dataclasses import dataclass

from bootstrap.errors import Problem

MARK = "»"
HEAD = "schema: bootstrap/v1\ncluster: home\ndistro: k3s\nversion: v1.36.3+k3s1\n"
HOSTS = "hosts:\n  a: {address: 10.0.0.1, role: controller+worker}\n"
WHOLE = HEAD + HOSTS


def host(settings: str, name: str = "a") -> str:
    """One host that is a cluster of its own."""
    return f"{HEAD}hosts:\n  {name}: {{role: controller+worker, {settings}}}\n"


@dataclass(frozen=True)
class Bad:
    """One bad inventory and the one problem that it must give."""

    name: str
    text: str
    message: str
    hint: str = ""

    @property
    def clean(self) -> str:
        return self.text.replace(MARK, "")

    @property
    def place(self) -> tuple[int, int]:
        before = self.text[: self.text.index(MARK)].removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
        return len(before), len(before[-1]) + 1

    def matches(self, problem: Problem) -> bool:
        return self.message in problem.message and self.hint in problem.hint


def show(problems: list[Problem]) -> str:
    return "\n".join(f"{p.line}:{p.column}: {p.message}\n    {p.source}\n    hint: {p.hint}" for p in problems)
