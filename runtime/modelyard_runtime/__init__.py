"""The model server of Modelyard: fetches one artifact, verifies it, loads it, serves it. See `__main__`."""
