"""How a SPEC.md becomes a running service: plain Python, without Prefect and without FastAPI."""
