"""Archives that are artifacts: which names they have, what may be in them, and how they become a folder."""
