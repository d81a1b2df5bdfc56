"""jmreport: static reports for the Job Manager API, readable long after the server is gone."""

__version__ = "0.1.0"
