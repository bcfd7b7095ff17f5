"""Real instances of the devcluster: a node at work, neighbours, killed starts, and what is left afterwards."""
