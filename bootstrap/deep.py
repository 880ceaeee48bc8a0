"""Proves a cluster by using it: a probe pod on each node, asked through hosts. Everything that it makes it removes.

Talks to hosts through a transport only; what it says to them and how it judges the answers is in deep_hosts.py and deep_checks.py.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from bootstrap.deep_checks import (
    NAMESPACE_PREFIX,
    ProbePod,
    ProbeState,
    answer_script,
    ask_script,
    ask_seconds,
    create_script,
    delete_script,
    judge_answers,
    judge_pods,
    look_script,
    make_objects,
    make_questions,
    read_look,
)
from bootstrap.deep_hosts import host_script, judge_host, make_image, restore_script
from bootstrap.driver import DeepTools
from bootstrap.errors import BootstrapError, StepError, TransportError
from bootstrap.model import Check
from bootstrap.transport import Transport

HOSTS_AT_ONCE = 16
PODS_AT_ONCE = 3  # each is a kubectl on the controller, which may be a small board
PAUSE = 1.0  # seconds between two looks at the pods

Checks = tuple[Check, ...]
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class DeepTask:
    """What to prove. `run` holds the lease of every host in `tools`; `urls`: where the API shall answer each of them."""

    run: str
    name: str  # six hexadecimal digits, which no other run has
    nodes: Sequence[str]
    controllers: Sequence[str]  # hosts that can be asked, the likeliest to answer first
    tools: Mapping[str, DeepTools]  # by host
    arches: Mapping[str, str]
    urls: Sequence[str]
    domain: str
    deadline: float  # seconds until all pods are ready

    @property
    def namespace(self) -> str:
        return f"{NAMESPACE_PREFIX}{self.name}"


def verify_deep(connect: Callable[[str], Transport], task: DeepTask, say: Callable[[str], None]) -> Checks:
    """Checks of each host and each node, and one that says whether all was removed again.

    A host that can't be asked is a red check, not an exception. Also after a failure and Ctrl-C all is removed.
    `say` gets a line for each stage.
    """
    return DeepCheck(connect, task, say).run()


class DeepCheck:
    """One run. Remembers what it made, so that this and nothing else is removed."""

    def __init__(self, connect: Callable[[str], Transport], task: DeepTask, say: Callable[[str], None]) -> None:
        self._connect = connect
        self._task = task
        self._say = say
        self._prepared: list[str] = []
        self._created_on = ""

    def run(self) -> Checks:
        checks: list[Check] = []
        self._say(f"looking at {len(self._task.tools)} hosts, importing the probe image")
        try:
            for found in _for_each(self._task.tools, self._look_at_host, HOSTS_AT_ONCE):
                checks += found
            checks += self._use_cluster()
        finally:
            removed = self._remove_all()
        return (*checks, removed)

    def _look_at_host(self, host: str) -> Checks:
        task, tools = self._task, self._task.tools[host]
        self._prepared.append(host)
        try:
            answer = self._run(host, host_script(task.run, tools, task.urls), make_image(task.arches[host]), 150.0)
        except BootstrapError as error:
            return (_red("probe image", host, error),)
        return judge_host(host, answer, task.urls, tools.renewal)

    # --- the cluster -------------------------------------------------------------------------

    def _use_cluster(self) -> Checks:
        task = self._task
        try:
            controller = self._find_controller()
            self._created_on = controller
            self._say(f"starting a probe pod on each of {len(task.nodes)} nodes, up to {task.deadline:.0f} s")
            script = create_script(task.run, task.tools[controller])
            self._run(controller, script, make_objects(task.namespace).encode(), 120.0)
            state = self._wait_for_pods(controller)
        except BootstrapError as error:
            return (_red("probe", "", error),)
        placed = [state.pod_on(node) for node in task.nodes]
        ready = [pod for pod in placed if pod and not pod.problem]
        checks = [*judge_pods(task.nodes, state)]
        self._say(f"{len(ready)} pods ask each other, the Service and DNS")
        for found in _for_each(ready, lambda pod: self._ask(controller, pod, state), PODS_AT_ONCE):
            checks += found
        return tuple(checks)

    def _find_controller(self) -> str:
        why = "no controller can be asked"
        for host in self._task.controllers:
            try:
                self._run(host, answer_script(self._task.tools[host]), b"", 30.0)
            except BootstrapError as error:
                why = str(error)
            else:
                return host
        raise StepError("the API answers on no controller", why=why)

    def _wait_for_pods(self, controller: str) -> ProbeState:
        """The last look: all pods are ready in it, or the time is up."""
        task, end = self._task, time.monotonic() + self._task.deadline
        while True:
            try:
                state = read_look(self._run(controller, look_script(task.tools[controller], task.namespace), b"", 60.0))
            except ValueError as error:
                raise StepError("the API's answer can't be read", where=controller, why=str(error)) from None
            if all(check.ok for check in judge_pods(task.nodes, state)) or time.monotonic() >= end:
                return state
            time.sleep(PAUSE)

    def _ask(self, controller: str, source: ProbePod, state: ProbeState) -> Checks:
        task = self._task
        questions = make_questions(source, state, task.namespace, task.domain)
        script = ask_script(task.tools[controller], task.namespace, source.name, questions)
        try:
            answers = self._run(controller, script, b"", ask_seconds(questions))
        except BootstrapError as error:
            return (_red("exec", source.node, error),)
        return judge_answers(source, state, questions, answers)

    # --- the end -----------------------------------------------------------------------------

    def _remove_all(self) -> Check:
        """The namespace first, then what its pods ran from."""
        self._say("removing the probe")
        problems = self._remove_namespace()
        problems += [found for found in _for_each(self._prepared, self._restore, HOSTS_AT_ONCE) if found]
        detail = "; ".join(problems) or "nothing is left behind"
        return Check("removed", ok=not problems, detail=detail)

    def _remove_namespace(self) -> list[str]:
        if not self._created_on:
            return []
        script = delete_script(self._task.tools[self._created_on], self._task.namespace)
        try:
            self._run(self._created_on, script, b"", 100.0)
        except BootstrapError as error:
            return [f"`kubectl delete namespace {self._task.namespace}` is left to do: {_say(error)}"]
        return []

    def _restore(self, host: str) -> str:
        try:
            self._run(host, restore_script(self._task.run, self._task.tools[host]), b"", 75.0)
        except BootstrapError as error:
            return f"{host}: {_say(error)}"
        return ""

    def _run(self, host: str, script: str, stdin: bytes, deadline: float) -> str:
        """Standard output. Raises TransportError, and StepError for an exit code."""
        result = self._connect(host).run(script, stdin=stdin, deadline=deadline)
        if not result.ok:
            why = (result.stderr or result.stdout).strip().splitlines()[-1:]
            raise StepError(f"exit code {result.exit_code}", where=host, why=why[0] if why else "no output")
        return result.stdout


def _for_each(things: Iterable[_Item], act: Callable[[_Item], _Result], at_once: int) -> list[_Result]:
    """Results in order. Ctrl-C doesn't wait for what runs."""
    pool = ThreadPoolExecutor(max_workers=at_once)
    try:
        futures = [pool.submit(act, thing) for thing in things]
        return [future.result() for future in futures]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _red(name: str, subject: str, error: BootstrapError) -> Check:
    return Check(name, ok=False, detail=_say(error), subject=subject)


def _say(error: BootstrapError) -> str:
    place = f"{error.where}: " if error.where and not isinstance(error, TransportError) else ""
    return f"{place}{error.what}{f': {error.why}' if error.why else ''}"
