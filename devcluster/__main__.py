"""The command line: `python -m devcluster up | down | status | load-image | kubeconfig | build | ...`.

Called by people and the Makefile. It turns the package's one error into a line on standard error and exit code 1, and
Ctrl-C or SIGTERM into an orderly end.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from devcluster import binaries, clusters, config, containers, embedded, errors, images, progress, toolchain

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130

_Command = Callable[[argparse.Namespace], int]


def main(arguments: list[str] | None = None) -> int:
    """Run one command and give its exit code."""
    chosen = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        run: _Command = chosen.run
        return run(chosen)
    except errors.DevclusterError as reason:
        print(f"devcluster: {reason}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        print("devcluster: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _up(chosen: argparse.Namespace) -> int:
    if chosen.control_plane_only:
        cluster: clusters.Cluster = clusters.up(chosen.name, True, chosen.controllers)
    else:
        cluster = clusters.provide(clusters.choose(os.environ), chosen.name)
    print(f"export KUBECONFIG={cluster.kubeconfig}")
    return 0


def _down(chosen: argparse.Namespace) -> int:
    if clusters.choose(os.environ) == clusters.KIND:
        clusters.remove(clusters.KIND, chosen.name)
    elif not clusters.down(chosen.name):
        print(f"instance {chosen.name} is not up: nothing to remove")
    return 0


def _status(chosen: argparse.Namespace) -> int:
    for name in sorted({*embedded.names(), chosen.name}):
        found = embedded.status(name)
        if found.record is None or found.problem:
            print(f"instance {name}: {found.problem}")
            continue
        part = " (control plane only)" if found.record.options.control_plane_only else ""
        print(f"instance {name}: up at {found.record.network.api_url}{part}")
        print(f"  kubeconfig  {found.layout.kubeconfig}")
        print(f"  logs        {found.layout.logs}")
    return EXIT_FAILED if embedded.status(chosen.name).problem else 0


def _load_image(chosen: argparse.Namespace) -> int:
    archive = Path(chosen.image)
    layout = embedded.layout_of(chosen.name)
    if not archive.is_file():
        archive = images.by_tag(chosen.image).archive
    with progress.step(f"loading {archive.name}", f"{archive.name} loaded"):
        names = containers.load(layout, toolchain.binary("ctr"), archive)
    print("\n".join(names))
    return 0


def _kubeconfig(chosen: argparse.Namespace) -> int:
    print(embedded.layout_of(chosen.name).kubeconfig)
    return 0


def _build(_chosen: argparse.Namespace) -> int:
    toolchain.resolve([*binaries.CONTROL_PLANE, *binaries.NODE, *binaries.CLIENTS])
    return 0


def _build_images(chosen: argparse.Namespace) -> int:
    for target in images.TARGETS if chosen.flavour is None else [f"runtime-{chosen.flavour}"]:
        images.build(target)
    return 0


def _binary(chosen: argparse.Namespace) -> int:
    progress.write_to(sys.stderr)
    print(toolchain.binary(chosen.binary))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m devcluster", description="A real one-node Kubernetes.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: _Command, text: str, named: bool = True) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(run=run)
        if named:
            added.add_argument(
                "--name", default=config.DEFAULT_NAME, help="of the instance (default: %(default)s)"
            )
        return added

    up = command("up", _up, "start an instance, or leave it be when it runs well")
    up.add_argument(
        "--control-plane-only", action="store_true", help="etcd and API server only: no node, no root"
    )
    up.add_argument(
        "--controllers", action="store_true", help="with --control-plane-only: the controller manager too"
    )
    command("down", _down, "remove an instance and everything it left")
    command("status", _status, "tell how the instances are")
    load = command("load-image", _load_image, "import an image into an instance's node")
    load.add_argument("image", metavar="TAG|FILE", help="an image of this project, or a docker-archive file")
    command("kubeconfig", _kubeconfig, "print the path of the administrator's kubeconfig")
    command("build", _build, "build every binary that is missing", named=False)
    build_images = command(
        "build-images", _build_images, "build the project's images and tell their sizes", named=False
    )
    build_images.add_argument(
        "--flavour",
        choices=images.FLAVOURS,
        help="only this image: the runtime with one framework more (default: the images without one)",
    )
    binary = command("binary", _binary, "print the path of a binary, built when missing", named=False)
    binary.add_argument("binary", metavar="BINARY", help=", ".join(binaries.known_names()))
    return parser


if __name__ == "__main__":
    sys.exit(main())
