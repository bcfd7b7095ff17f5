"""Docker, where its engine answers: does it, build an image, save one.

Called by `clusters`, `images` and `kind`. Not tried on the machine this was written on, which has no Docker engine; so
it is kept to the three commands everybody uses.
"""

from pathlib import Path

from devcluster import commands


def answers() -> bool:
    """Tell whether there is a Docker client whose engine answers."""
    return commands.succeeds(["docker", "version", "--format", "{{.Server.Version}}"])


def build(context: Path, target: str, flavour: str, reference: str) -> None:
    """Build one target of the context's Dockerfile under the name `reference`, on the Dockerfile's own base."""
    chosen = ["--target", target, "--build-arg", f"FLAVOUR={flavour}"]
    commands.run(["docker", "build", "--quiet", *chosen, "--tag", reference, context], timeout_seconds=3600)


def save(reference: str, archive: Path) -> None:
    """Write an image as a docker-archive."""
    commands.run(["docker", "save", "--output", archive, reference])
