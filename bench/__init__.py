"""How fast jmreport is, measured beside others on the same jobs: `python -m bench` (README.md)."""
