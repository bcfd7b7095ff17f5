"""The pickle rule: what a pickle or joblib file may name and call, checked on its opcodes before anything runs."""
