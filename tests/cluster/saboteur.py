"""Runs the command line with a fault planted at one boundary of the run: `python saboteur.py KIND NUMBER -- words`.

KIND: `kill` SIGKILLs the process when the NUMBER-th boundary is passed (before and after each step),
`fail` makes the NUMBER-th step fail before it acts, `undone` lets it act and then fail, `count` only counts.
The number of boundaries or steps passed is written to the file in SABOTEUR_COUNT.
"""

import os
import signal
import sys
import threading
from pathlib import Path

from bootstrap import runner
from bootstrap.cli import main
from bootstrap.errors import StepError
from bootstrap.model import Step

KIND, NUMBER = sys.argv[1], int(sys.argv[2])
passed = {"boundaries": 0, "steps": 0}
guard = threading.Lock()


def note() -> None:
    """Whole at every moment: another thread may end the process."""
    path = Path(os.environ["SABOTEUR_COUNT"])
    new = path.with_suffix(".new")
    new.write_text(f"{passed['boundaries']} {passed['steps']}")
    new.replace(path)


def boundary() -> None:
    with guard:
        passed["boundaries"] += 1
        note()
        if KIND == "kill" and passed["boundaries"] == NUMBER:
            os.kill(os.getpid(), signal.SIGKILL)


act = runner.Runner._act


def act_with_fault(self: runner.Runner, identity: str, step: Step) -> str:
    boundary()
    with guard:
        passed["steps"] += 1
        note()
        mine = passed["steps"] == NUMBER
    if mine and KIND == "fail":
        raise StepError("planted fault, before the step", where=step.place)
    detail = act(self, identity, step)
    if mine and KIND == "undone":
        raise StepError("planted fault, after the step", where=step.place)
    boundary()
    return detail


runner.Runner._act = act_with_fault  # type: ignore[method-assign]
sys.argv = ["bootstrap", *sys.argv[sys.argv.index("--") + 1 :]]
main()
