"""What the deep checks do and ask on each host, and how the answers are judged. Pure."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bootstrap.certificates import judge_certificates
from bootstrap.cluster_state import shorten
from bootstrap.driver import DeepTools
from bootstrap.facts import RUN_FOLDER
from bootstrap.model import Check
from bootstrap.operations import fence
from bootstrap.shell import join, quote

IMAGE = "bootstrap.invalid/probe:1"
FOLDER = f"{RUN_FOLDER}/probe"
TIMED_OUT = (124, 143)  # coreutils' and busybox' timeout
KUBECTL = f"{FOLDER}/kubectl"  # a link to the host's own program, at the same path on every host


@dataclass(frozen=True)
class Line:
    """The answer to one question, as an ask or a host script prints it: `<label> <exit code> <text>`."""

    code: int
    text: str

    @property
    def problem(self) -> str:
        """Why the exit code isn't 0, in one line; nothing when it is."""
        if not self.code:
            return ""
        silent = "no answer in time" if self.code in TIMED_OUT else f"exit code {self.code}"
        return shorten(self.text.removesuffix("command terminated with exit code 1").strip()) or silent


Lines = Mapping[str, Line]


def make_image(arch: str) -> bytes:
    """An archive of one nearly empty image, a few kB: the program that it runs is the host's own, mounted into it."""
    from bootstrap.images import Folder, Image, make_layer, write_archive

    archive = io.BytesIO()
    layer = make_layer({"files": Folder()})
    write_archive([Image(IMAGE, ("/kubectl",), (layer,))], arch, archive)
    return archive.getvalue()


def host_script(run: str, tools: DeepTools, urls: Sequence[str]) -> str:
    """Link the program, import the image from standard input, ask the API at each URL, and print all certificates.

    The API is asked as the kubelet asks it: by its kubeconfig, whose CA and the certificate's name are checked.
    Of a file that holds a key too, only what stands in a certificate leaves the host.
    """
    images = join(tools.images)
    kubectl = f"{KUBECTL} --kubeconfig={quote(tools.kubelet_kubeconfig)}"
    asks = "".join(
        f"tell {quote(url)} timeout 15 {kubectl} --server={quote(url)} --request-timeout=8s get --raw /livez\n"
        for url in urls
    )
    return f"""set -u
{fence(run)}{TELL}
link() {{
  [ -x {quote(tools.program)} ] || {{ echo {quote(f"there is no {tools.program}")}; return 1; }}
  mkdir -p {FOLDER} && ln -sfn {quote(tools.program)} {KUBECTL}
}}
tell program link
tell image timeout 60 {images} import -
exec </dev/null
{asks}echo "clock 0 $(date +%s)"
for file in {" ".join(_quote_glob(glob) for glob in tools.certificates)}; do
  [ -r "$file" ] || continue
  echo "file 0 $file"
  sed -n '/-----BEGIN CERTIFICATE-----/,/-----END CERTIFICATE-----/p' "$file"
  sed -n 's/^ *client-certificate-data: *//p' "$file" | base64 -d 2>/dev/null
  echo
done
"""


# Runs a command and prints one line: label, exit code, what it said.
TELL = """\
export KUBECACHEDIR=/run/bootstrap/kube-cache
tell() {
  label=$1; shift
  said=$("$@" 2>&1); code=$?
  printf '%s %s %s\\n' "$label" "$code" "$(printf %s "$said" | tail -n 3 | tr '\\n' ' ')"
}
"""


def restore_script(run: str, tools: DeepTools) -> str:
    """Take the image and the link off a host again. Exit 1: the image is still there."""
    images = join(tools.images)
    return f"""set -u
{fence(run)}rm -rf {FOLDER}
timeout 30 {images} rm {IMAGE} >/dev/null 2>&1
! timeout 30 {images} ls -q 2>/dev/null | grep -qxF {IMAGE} || {{ echo "the image {IMAGE} could not be removed" >&2; exit 1; }}
"""


def read_lines(text: str) -> dict[str, Line]:
    """Answers by label; what follows no such form (certificates) is left out."""
    found = {}
    for line in text.splitlines():
        label, _, rest = line.partition(" ")
        code, _, said = rest.partition(" ")
        if code.isdigit() and label != "file":
            found[label] = Line(int(code), said.strip())
    return found


def judge_host(host: str, text: str, urls: Sequence[str], renewal: str) -> tuple[Check, ...]:
    """What a host script printed: image, endpoint, certificates."""
    lines = read_lines(text)
    return (
        judge_image(host, lines),
        judge_endpoint(host, lines, urls),
        judge_certificates(host, text, lines.get("clock", Line(1, "")).text, renewal),
    )


def judge_image(host: str, lines: Lines) -> Check:
    """The host's runtime took the image."""
    for label in ("program", "image"):
        line = lines.get(label, Line(1, "the host said nothing about it"))
        if line.problem:
            return Check("probe image", ok=False, detail=line.problem, subject=host)
    return Check("probe image", ok=True, detail="imported", subject=host)


def judge_endpoint(host: str, lines: Lines, urls: Sequence[str]) -> Check:
    """The API answers this host at each URL, with a certificate for that name."""
    if not urls:
        return Check("endpoint", ok=False, detail="no address of the API is known", subject=host)
    answers = [(url, lines.get(url, Line(1, "not asked"))) for url in urls]
    wrong = [
        f"{url}: {line.problem or shorten(line.text)}" for url, line in answers if line.problem or line.text != "ok"
    ]
    return Check("endpoint", not wrong, "; ".join(wrong) or f"{', '.join(urls)} answers", subject=host)


def _quote_glob(glob: str) -> str:
    return "*".join(quote(part) if part else "" for part in glob.split("*"))
