"""How a script travels to a shell and its output back: pure text in, bytes out. No I/O.

The command line is one constant: a shell that reads a length, then that many bytes, and evaluates them. What it
evaluates may start another shell that reads the next piece the same way. So scripts and secrets go by standard
input alone, no login shell ever parses them, and what is left on standard input belongs to the last script.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from bootstrap import shell

# No backslash, exclamation mark, newline or quote: the same words in sh, csh, fish.
LOADER = 'read -r n || exit 98; eval "$(dd bs="$n" count=1 iflag=fullblock 2>/dev/null)"'
COMMAND = f"exec sh -c '{LOADER}'"

GRACE = 2  # seconds between TERM and KILL on the host
PATIENCE = 3.0  # seconds beyond the host's own deadline until we stop waiting for its word
MAX_OUTPUT = 64 * 1024 * 1024  # bytes, both streams together

# Runs the next piece in a process group of its own and ends the group at the deadline, connection or not.
# $group without setsid: timeout puts its command into a group as well.
_JOB = r"""
LC_ALL=C; export LC_ALL; unset LANGUAGE
PATH="$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"; export PATH
umask 022
say() { printf '\n%s %s\n' "$mark" "$1"; }
if command -v setsid >/dev/null 2>&1; then group=setsid; else group="timeout $((deadline + 60))"; fi
late=; trap 'late=late' USR1
exec 3<&0
@START@
@RUN@ job=$!
$group sh -c 'sleep "$1"; kill -s USR1 "$2"; kill -s TERM -- "-$3"; sleep "$4"; kill -s KILL -- "-$3"' \
  sh "$deadline" "$$" "$job" "$grace" </dev/null >/dev/null 2>&1 3<&- & watch=$!
exec 3<&- </dev/null
{ wait "$job"; code=$?; } 2>/dev/null
if [ "$late" ]; then { wait "$job"; } 2>/dev/null; else { kill -s KILL -- "-$watch" || kill -s KILL "$watch"; } 2>/dev/null; fi
@END@
say "end $code $late"
"""
_ON_PIPES = {
    "@START@": "say start; say start >&2",
    "@RUN@": '$group sh -c "$loader" <&3 3<&- &',
    "@END@": "say end >&2",
}
# A terminal has one output and no end of input: errors wait in a file, input is counted.
_ON_TERMINAL = {
    "@START@": "errors=$(umask 077; mktemp) || errors=/dev/null; say start",
    "@RUN@": """head -c "$size" <&3 | $group sh -c "$loader" 2>"$errors" 3<&- &""",
    "@END@": """say errors; cat "$errors"; [ "$errors" = /dev/null ] || rm -f "$errors\"""",
}


@dataclass(frozen=True)
class Job:
    """One script for one shell. `mark` is random and never reused; `deadline` in seconds."""

    script: str
    mark: str
    deadline: float = 60.0
    prelude: str = "cd /"

    @property
    def host_deadline(self) -> int:
        """Whole seconds, at least one: sleep on small systems knows no fractions."""
        return max(1, math.ceil(self.deadline))

    @property
    def limit(self) -> float:
        """Seconds until an answer, be it 'time is up', must have come."""
        return self.host_deadline + PATIENCE

    def frames(self) -> bytes:
        """What goes to a shell on pipes, before the script's own input."""
        return frame(self._watch(_ON_PIPES, 0)) + frame(self.script)

    def frames_on_terminal(self, input_size: int) -> bytes:
        """The same for a shell on a terminal, which must be told how much input comes, in bytes."""
        script = frame(self.script)
        return frame(self._watch(_ON_TERMINAL, len(script) + input_size)) + script

    def _watch(self, parts: Mapping[str, str], size: int) -> str:
        names = {"mark": self.mark, "loader": LOADER, "deadline": str(self.host_deadline), "grace": str(GRACE)}
        text = shell.assign(names | {"size": str(size)}) + _JOB
        for place, part in parts.items():
            text = text.replace(place, part)
        return f"{self.prelude}\n{text}"


def frame(text: str) -> bytes:
    """One piece for LOADER. Raises ValueError on NUL, which no shell can hold."""
    if "\0" in text:
        raise ValueError("a NUL byte can't be part of a script")
    content = text.encode() or b":"
    return b"%d\n%s" % (len(content), content)


class NoAnswerError(Exception):
    """The time limit passed without a word from the host."""


class OutputTooLargeError(Exception):
    """The host sent more than MAX_OUTPUT bytes."""


@dataclass
class Answer:
    """The two streams as they come in, and what the marks in them say.

    What stands before the start mark is noise of rc files, or a refusal to become root.
    """

    mark: str
    terminal: bool = False  # both streams come as one
    out: bytearray = field(default_factory=bytearray)
    err: bytearray = field(default_factory=bytearray)
    closed: bool = False
    started: bool = False
    late: bool = False  # the host ended the command at its deadline
    _code: int | None = None
    _end: int = 0
    _searched: int = 0

    def feed(self, out: bytes, err: bytes) -> None:
        """Take what came. Raises OutputTooLargeError."""
        self.out += out
        self.err += err
        if len(self.out) + len(self.err) > MAX_OUTPUT:
            raise OutputTooLargeError(f"more than {MAX_OUTPUT >> 20} MiB of output")
        if out and not self.ended:
            begin = max(0, self._searched - len(self.mark) - 32)  # a mark may come in two parts
            self.started = self.started or self.out.find(self._line("start"), begin) >= 0
            self._look_for_end(begin)
            self._searched = len(self.out)

    def _look_for_end(self, begin: int) -> None:
        """`MARK end CODE` and, beyond the deadline, `late`. Plain search: a pattern per command costs a millisecond."""
        opening = f"\n{self.mark} end ".encode()
        start = self.out.find(opening, begin)
        stop = self.out.find(b"\n", start + 1)
        if start >= 0 and stop >= 0:
            code, _, late = self.out[start + len(opening) : stop].partition(b" ")
            self._code, self._end, self.late = int(code), start, late == b"late"

    @property
    def ended(self) -> bool:
        """Whether the exit code is known."""
        return self._code is not None

    @property
    def complete(self) -> bool:
        """Whether both streams are here as well, though a process left behind may still hold them open."""
        return self.ended and (self.terminal or self._line("end") in self.err)

    def shows(self, token: str) -> bool:
        return token.encode() in self.out

    def asks(self, prompt: str, times: int = 1) -> bool:
        """Whether the prompt has come so often where sudo writes it."""
        seen = self.out if self.terminal else self.err
        return seen.count(prompt.encode()) >= times

    @property
    def exit_code(self) -> int:
        """Raises ValueError before the end mark has come."""
        if self._code is None:
            raise ValueError("the command has not ended")
        return self._code

    @property
    def _content(self) -> bytearray:
        """The output stream up to the end mark."""
        return self.out[: self._end] if self.ended else self.out

    @property
    def stdout(self) -> str:
        return _text(self._content.partition(self._line("start"))[2].partition(self._line("errors"))[0])

    @property
    def stderr(self) -> str:
        if self.terminal:
            return _text(self._content.partition(self._line("errors"))[2])
        return _text(self.err.partition(self._line("start"))[2].partition(self._line("end"))[0])

    @property
    def noise(self) -> str:
        """What was said before the start, for a message when there is no start."""
        parts = (stream.partition(self._line("start"))[0].strip() for stream in (self.err, self.out))
        return "; ".join(_text(part) for part in parts if part)[-500:]

    def said(self, word: str) -> list[str]:
        """The rest of each line that our own stage marked with `word` before the start."""
        opening = f"{self.mark} {word}".encode()
        rows = bytes(self.out.partition(self._line("start"))[0]).split(b"\n")
        return [_text(row.removeprefix(opening)).strip() for row in rows if row.startswith(opening)]

    def _line(self, word: str) -> bytes:
        return f"\n{self.mark} {word}\n".encode()


def _text(content: bytes | bytearray) -> str:
    return content.decode("utf-8", "replace")
