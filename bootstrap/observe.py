"""Asks hosts through a transport: one script, one round trip, Facts. Reads only; changes nothing."""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bootstrap.errors import TransportError
from bootstrap.facts import make_host_facts
from bootstrap.model import Facts, HostFacts, Probe
from bootstrap.transport import Transport

PROBE_DEADLINE = 90.0  # seconds; hashing a 250 MB binary on a small board is the slowest part
MOST_AT_ONCE = 64


def write_script(probes: Sequence[Probe], mark: str) -> str:
    """One script of all probes, each in a subshell between marks that no output can guess.

    The answers leave the host in one breath: piece by piece they would be dozens of packets, each of which costs as
    much CPU here as the whole.
    """
    parts = [
        f"echo {mark}-begin-{index}\n(\n{probe.script}\n) 2>/dev/null </dev/null || true\necho\necho {mark}-end-{index}"
        for index, probe in enumerate(probes)
    ]
    return "look() {\n" + "\n".join(parts) + "\n}\nanswers=$(look)\nprintf '%s\\n' \"$answers\"\n"


def read_answers(probes: Sequence[Probe], mark: str, text: str) -> dict[str, Any]:
    """Parsed answers by probe name. Raises ValueError when an answer is cut off."""
    answers = {}
    for index, probe in enumerate(probes):
        begin, end = f"{mark}-begin-{index}\n", f"\n{mark}-end-{index}"
        start = text.index(begin) + len(begin)
        answers[probe.name] = probe.parse(text[start : text.index(end, start)])
    return answers


def observe_host(transport: Transport, probes: Sequence[Probe]) -> HostFacts:
    """All that the probes see on one host."""
    mark = f"bootstrap-{secrets.token_hex(8)}"
    started = time.time()
    result = transport.run(write_script(probes, mark), deadline=PROBE_DEADLINE)
    asked = (started, time.time())
    try:
        return make_host_facts(transport.host, read_answers(probes, mark, result.stdout), asked=asked)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        last = (result.stderr or result.stdout).strip().splitlines()[-1:]
        raise TransportError(
            transport.host,
            f"the host's answers can't be read ({error})",
            why=f"exit code {result.exit_code}; last line: {last[0] if last else 'none'}",
        ) from error


def observe(
    connect: Callable[[str], Transport], probes: Mapping[str, Sequence[Probe]]
) -> tuple[Facts, dict[str, TransportError]]:
    """Facts of all hosts at once, and the errors of those that could not be asked, by host name."""
    facts: dict[str, HostFacts] = {}
    failed: dict[str, TransportError] = {}

    def ask(host: str) -> None:
        try:
            facts[host] = observe_host(connect(host), probes[host])
        except TransportError as error:
            failed[host] = error

    with ThreadPoolExecutor(max_workers=min(len(probes), MOST_AT_ONCE) or 1) as pool:
        list(pool.map(ask, probes))
    return {host: facts[host] for host in probes if host in facts}, failed
