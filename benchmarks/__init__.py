"""How fast Hearthwatch is beside what it is built on: `python -m benchmarks` (docs/benchmarks.md)."""
