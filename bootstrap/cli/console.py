"""What the person sees and types: printing, errors to exit codes, questions. The only place that prints."""

import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn

import click

from bootstrap.errors import BootstrapError, ExitCode, InterruptedRunError, InventoryError, UsageError


def say(text: str) -> None:
    """Talk goes to standard error, data to standard output."""
    if text:
        click.echo(text.rstrip("\n"), err=True)


def give(text: str) -> None:
    if text:
        click.echo(text.rstrip("\n"))


def colored(stream: Any) -> bool:  # noqa: ANN401 - any text stream
    return bool(stream.isatty()) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def width() -> int:
    import shutil

    return max(60, min(160, shutil.get_terminal_size((100, 24)).columns))


def ask_secret(prompt: str) -> str | None:
    """A passphrase or password from the terminal; None where there is no terminal to ask on."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    import getpass

    try:
        return getpass.getpass(prompt, stream=sys.stderr)
    except (EOFError, KeyboardInterrupt):
        return None


def leave(code: int) -> NoReturn:
    """Flush and go at once: a thread that still waits for a host must not hold the person."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def report_error(error: BootstrapError, output: str) -> None:
    from bootstrap.report import format_error, format_problems, problems_to_json

    if isinstance(error, InventoryError) and output == "json":
        give(problems_to_json(error))
    elif isinstance(error, InventoryError):
        say(format_problems(error, color=colored(sys.stderr), width=width()))
    else:
        say(format_error(error, color=colored(sys.stderr), width=width()))


def report_bug(error: Exception) -> int:
    """Keep the traceback in a private file, and say where it is."""
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="bootstrap-bug-", suffix=".txt", delete=False) as file:
        file.write("".join(traceback.format_exception(error)))
    say(f"error: this is a bug in bootstrap: {type(error).__name__}: {error}")
    say(f"  next: report it with {file.name}; hosts are as the last finished step left them, apply again goes on")
    return ExitCode.ERROR


def report_file(error: OSError) -> int:
    """A file of the person's that can't be read or written."""
    report_error(BootstrapError(str(error.strerror).lower(), where=str(error.filename)), "text")
    return ExitCode.ERROR


def guarded(command: Callable[..., int | None]) -> Callable[..., None]:
    """Turn errors into messages and exit codes; the last line of defence against a traceback."""

    @wraps(command)
    def run(*args: Any, **options: Any) -> None:  # noqa: ANN401 - click's arguments
        try:
            code = command(*args, **options) or 0
        except InterruptedRunError as error:
            report_error(error, "text")
            leave(ExitCode.INTERRUPTED)
        except BootstrapError as error:
            report_error(error, str(options.get("output", "text")))
            code = error.exit_code
        except KeyboardInterrupt:
            say("interrupted")
            leave(ExitCode.INTERRUPTED)
        except BrokenPipeError:
            leave(ExitCode.ERROR)
        except OSError as error:
            code = report_file(error) if error.filename else report_bug(error)
        except Exception as error:  # noqa: BLE001 - a bug of ours must not end in a wall of text
            code = report_bug(error)
        leave(code) if code else sys.exit(0)

    return run


def show_plan(session: Any, draft: Any, output: str = "text") -> None:  # noqa: ANN401 - imported where used
    from bootstrap import report

    count = len(session.inventory.hosts)
    if output == "json":
        give(report.plan_to_json(draft.plan))
    elif output == "markdown":
        give(session.redactor.mask(report.format_plan_markdown(draft.plan, host_count=count)))
    else:
        text = report.format_plan(draft.plan, color=colored(sys.stdout), width=width(), host_count=count)
        give(session.redactor.mask(text))
    for error in draft.failed.values():
        report_error(error, "text")


def confirm(prompt: str, wanted: str) -> None:
    """Raises UsageError off a terminal, BootstrapError when the answer is another."""
    if not sys.stdin.isatty():
        raise UsageError(
            "this asks for a yes, and there is no terminal to ask on", next_step="give --yes after reading the plan"
        )
    click.echo(prompt, nl=False, err=True)
    answer = sys.stdin.readline()
    if answer.strip() != wanted:
        raise BootstrapError("not confirmed: nothing was changed")
