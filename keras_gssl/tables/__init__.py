"""Grids of runs: which runs a table needs, running what is not yet done, and the table itself."""
