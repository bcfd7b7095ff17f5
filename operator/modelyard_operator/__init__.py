"""The Modelyard operator: turns ModelDeployments into serving pods.

To follow one ModelDeployment through the code, read in this order:
handlers (an event becomes a key) → workqueue (one key in flight at a time) → reconciler (observe, decide, write) →
cluster (the API calls) → revisions, desired (what should be) → plan (what to write) → status (what to say).
"""
