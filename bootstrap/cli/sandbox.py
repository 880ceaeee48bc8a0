"""`bootstrap sandbox ...` on the command line: arguments only, the work is in bootstrap.sandbox.console."""

from pathlib import Path

import click

from bootstrap.cli.console import give, guarded

NAME = click.option("--name", default="default", show_default=True, envvar="BOOTSTRAP_SANDBOX", help="Which sandbox.")


@click.group()
def sandbox() -> None:
    """Throw-away hosts on this machine: systemd, sshd, a network of their own. Needs root."""


def read_init(words: tuple[str, ...]) -> dict[str, str]:
    pairs = (word.partition("=") for word in words)
    return {host: kind or "openrc" for host, _, kind in pairs}


@sandbox.command()
@NAME
@click.option("--init", multiple=True, metavar="HOST=openrc", help="Another init system for a host.")
@click.option(
    "--share", type=click.Path(path_type=Path, exists=True), help="A folder that hosts see read-only as /opt/share."
)
@click.argument("hosts", nargs=-1, required=True)
@guarded
def up(name: str, init: tuple[str, ...], share: Path | None, hosts: tuple[str, ...]) -> None:
    """Boot hosts: a number (3 means h1 to h3) or names."""
    from bootstrap.sandbox import console

    give(console.up(name, hosts, read_init(init), share))


@sandbox.command()
@NAME
@guarded
def down(name: str) -> None:
    """End every host at once; nothing is left."""
    from bootstrap.sandbox import console

    console.down(name)


@sandbox.command("list")
@NAME
@guarded
def list_hosts(name: str) -> None:
    """Names, addresses, on or off."""
    from bootstrap.sandbox import console

    give(console.list_hosts(name))


@sandbox.command()
@NAME
@click.argument("hosts", nargs=-1)
@guarded
def wipe(name: str, hosts: tuple[str, ...]) -> None:
    """New disks, host keys and machine ids for these hosts, or for all."""
    from bootstrap.sandbox import console

    console.wipe(name, hosts)


@sandbox.command()
@NAME
@click.argument("host")
@guarded
def cut(name: str, host: str) -> None:
    """Pull the plug of a host."""
    from bootstrap.sandbox import console

    console.cut(name, host)


@sandbox.command()
@NAME
@click.argument("host")
@guarded
def start(name: str, host: str) -> None:
    """Switch a host on again, its disk kept."""
    from bootstrap.sandbox import console

    console.start(name, host)


@sandbox.command()
@NAME
@click.argument("host")
@guarded
def reboot(name: str, host: str) -> None:
    """Reboot a host in good order."""
    from bootstrap.sandbox import console

    console.reboot(name, host)


@sandbox.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@NAME
@click.argument("host")
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@guarded
def ssh(name: str, host: str, words: tuple[str, ...]) -> None:
    """ssh to HOST (or USER@HOST), with its pinned key."""
    from bootstrap.sandbox import console

    console.ssh(name, host, words)


@sandbox.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@NAME
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@guarded
def exec_inside(name: str, words: tuple[str, ...]) -> None:
    """Run a command where the hosts' network is; a shell without words."""
    from bootstrap.sandbox import console

    console.exec_inside(name, words)


@sandbox.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@NAME
@click.option("--hosts", default="3", show_default=True, help="How many hosts, or names with commas.")
@click.option("--init", multiple=True, metavar="HOST=openrc", help="Another init system for a host.")
@click.option(
    "--share", type=click.Path(path_type=Path, exists=True), help="A folder that hosts see read-only as /opt/share."
)
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED)
@guarded
def run(name: str, hosts: str, init: tuple[str, ...], share: Path | None, words: tuple[str, ...]) -> int:
    """Boot hosts, run a command among them, end them; its exit code."""
    from bootstrap.sandbox import console

    return console.run(name, hosts.split(","), words, read_init(init), share)
