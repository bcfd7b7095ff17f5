"""The HTTP edge: FastAPI application, hot routes, health, limits. Status codes live here and nowhere else."""
