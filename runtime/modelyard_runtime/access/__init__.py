"""Who may predict: bearer tokens and certificates from mounted Secrets, read anew when they change. No HTTP."""
