"""What docs/speed.md says, measured: `python -m benchmarks`."""
