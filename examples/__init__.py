"""Models and manifests that the demo, the end-to-end tests and the documentation share."""
