"""Figures as text and as JSON, each beside what it should be. Pure."""

from collections.abc import Mapping
from typing import Any

from measure import Series

HELP_TARGET, VALIDATE_TARGET = 0.060, 0.150  # seconds, on an idle core
CPU_TARGET = 0.010  # seconds of controller CPU for each further host
MEMORY_TARGET = 100.0  # MB
# How many times as fast as a peer, by wall time, at (1, 10, 100) hosts.
RATIO_TARGETS = {"ansible-core": {1: 10, 10: 25, 100: 40}, "pyinfra": {1: 4, 10: 3, 100: 3}}


def describe_start_up(series: Mapping[str, Series]) -> list[str]:
    """Wall and CPU, and as multiples of the bare interpreter, which load slows down as well."""
    targets = {"bootstrap --help": HELP_TARGET, "bootstrap validate": VALIDATE_TARGET}
    bare = series["python -c pass"].median("cpu")
    lines = [f"{'start-up, whole process':<28}{'wall ms (min-max)':>22}{'CPU ms':>9}{'x bare':>8}{'target ms':>11}"]
    for name, measured in series.items():
        wall = measured.values("wall")
        spread = f"{measured.median('wall') * 1000:.0f} ({min(wall) * 1000:.0f}-{max(wall) * 1000:.0f})"
        cpu = measured.median("cpu")
        target = f"{targets[name] * 1000:.0f}" if name in targets else ""
        lines.append(f"{name:<28}{spread:>22}{cpu * 1000:>9.0f}{cpu / bare:>8.1f}{target:>11}")
    return lines


def describe_noop(noops: Mapping[int, Mapping[str, Series]]) -> list[str]:
    lines = [
        f"{'no-op':<16}{'hosts':>6}{'runs':>6}{'wall s (min-max)':>24}{'CPU s':>8}{'MB':>6}{'ratio wall':>12}{'CPU':>7}{'target':>8}"
    ]
    for count, series in noops.items():
        ours = series["bootstrap"]
        for name, measured in series.items():
            if not measured.samples:
                continue
            wall = measured.values("wall")
            spread = f"{measured.median('wall'):.2f} ({min(wall):.2f}-{max(wall):.2f})"
            line = f"{name:<16}{count:>6}{len(wall):>6}{spread:>24}{measured.median('cpu'):>8.2f}{measured.median('memory'):>6.0f}"
            if name != "bootstrap":
                target = RATIO_TARGETS[name].get(count)
                ratios = [measured.median(of) / ours.median(of) for of in ("wall", "cpu")]
                line += f"{ratios[0]:>11.1f}x{ratios[1]:>6.1f}x{f'{target}x' if target else '':>8}"
            lines.append(line)
    return [*lines, *describe_growth(noops)]


def cpu_per_host(noops: Mapping[int, Mapping[str, Series]]) -> float | None:
    """Seconds of CPU that one more host costs, between the smallest and the largest number of hosts."""
    least, most = min(noops, default=0), max(noops, default=0)
    if least == most:
        return None
    return (noops[most]["bootstrap"].median("cpu") - noops[least]["bootstrap"].median("cpu")) / (most - least)


def describe_growth(noops: Mapping[int, Mapping[str, Series]]) -> list[str]:
    growth = cpu_per_host(noops)
    if growth is None:
        return []
    memory = noops[max(noops)]["bootstrap"].median("memory")
    return [
        f"controller CPU per further host: {growth * 1000:.1f} ms (target {CPU_TARGET * 1000:.0f})",
        f"memory at {max(noops)} hosts: {memory:.0f} MB (target below {MEMORY_TARGET:.0f})",
    ]


def to_json(
    start_up: Mapping[str, Series], noops: Mapping[int, Mapping[str, Series]], about: dict[str, Any]
) -> dict[str, Any]:
    """Every sample, in the units of measure.Sample."""
    return {
        "about": about,
        "start_up": {name: samples_of(series) for name, series in start_up.items()},
        "noop": {str(count): {name: samples_of(s) for name, s in series.items()} for count, series in noops.items()},
        "cpu_per_further_host": cpu_per_host(noops),
    }


def samples_of(series: Series) -> list[dict[str, float]]:
    return [dict(vars(sample)) for sample in series.samples]
