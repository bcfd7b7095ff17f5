"""A real one-node Kubernetes without Docker, for the demo and the tests; kind where a Docker engine answers.

From Python (tests, demo):

    from devcluster import clusters, images, toolchain

    clusters.choose(os.environ)                  -> "devcluster" | "kind" | "current"
    clusters.provide(kind, name="modelyard")     -> Cluster: a running cluster of that kind
    clusters.remove(kind, name="modelyard")      removes what `provide` gave
    clusters.up(name, control_plane_only=False, controllers=False, bound=False)
                                                 -> Cluster: the embedded devcluster; tests say bound=True, so that
                                                 what a killed run leaves is removed by the next `up` or `down`
    clusters.down(name)                          removes it, leaving nothing
    cluster.name, cluster.kubeconfig             what it is called; the administrator's kubeconfig
    cluster.load_image(image)                    -> the reference that pods must name
    cluster.down()                               removes the cluster (never the user's own current one)
    toolchain.binary("kubectl")                  -> Path; builds what is missing
    images.build("operator")                     -> Image(reference, archive, key, bytes)

From a shell: `python -m devcluster --help`. Every failure is an `errors.DevclusterError` whose text is for people.

The package runs on the standard library alone. It names no registry and no mirror: Go modules, Python and Debian
packages come through the machine's own clients as they are set up. docs/devcluster.md tells how it works.
"""

import sys

# Here, before anything is imported that an older Python could not read.
if sys.version_info < (3, 11):  # noqa: UP036  # `python3 -m devcluster` is often typed with whatever Python there is
    raise SystemExit(
        f"devcluster: Python {sys.version.split()[0]} is too old: 3.11 or later is needed, "
        "as in: python3.11 -m devcluster ..."
    )
