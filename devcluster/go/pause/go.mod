// The container that holds a pod's namespaces.
module modelyard.dev/devcluster/pause

go 1.26.0
