"""Writes values as YAML that every reader takes for the same values. Pure."""

import re
from functools import cache
from typing import Any

# Text that PyYAML would leave unquoted, but Go's YAML (which reads k3s' files) or YAML 1.2 takes for something else:
# y and n as booleans; 1e3, 0o17 and 6_e4 as numbers, for underscores are passed over anywhere; U+0085 as a line end.
AMBIGUOUS = re.compile(r"[yYnN]|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?0[xXoObB][0-9a-fA-F]+")
LINE_ENDS = re.compile("[\r\x85\u2028\u2029]")


def to_yaml(value: object) -> str:
    """Block style, keys in the order given, text as text, many lines as a literal block.

    Raises TypeError for values that YAML has no plain form for.
    """
    import yaml

    text: str = yaml.dump(
        value, Dumper=_dumper(), sort_keys=False, allow_unicode=True, default_flow_style=False, width=float("inf")
    )
    return text.removesuffix("...\n")


@cache
def _dumper() -> Any:  # noqa: ANN401 - a class whose base is imported only here
    import yaml

    class TextDumper(yaml.SafeDumper):
        """Quotes whatever could be taken for something else, and sets lists in by two blanks."""

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
            super().increase_indent(flow, indentless=False)

        def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - equal values are written out, not linked
            return True

    def represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=_choose_style(text))

    def refuse(_: yaml.SafeDumper, value: object) -> yaml.Node:
        raise TypeError(
            f"`{value}` is no text, number, list or mapping"
        )  # an undefined name tells itself when it becomes text

    TextDumper.add_multi_representer(object, refuse)
    TextDumper.add_representer(str, represent_text)
    TextDumper.add_representer(tuple, lambda dumper, items: dumper.represent_list(items))
    return TextDumper


def _choose_style(text: str) -> str | None:
    if LINE_ENDS.search(text):
        return '"'
    if "\n" in text:
        return "|"
    if "${" in text:
        return "'"  # the value that takes the reference's place may then hold all but a single quote and a line end
    return '"' if AMBIGUOUS.fullmatch(text.replace("_", "")) else None


def find_problem(text: str) -> str:
    """Why a text is no YAML and in which of its lines; empty when it is."""
    import yaml

    try:
        for _ in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            pass
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in its line {mark.line + 1}" if mark else ""
        return f"{getattr(error, 'problem', None) or error}{where}"
    return ""
