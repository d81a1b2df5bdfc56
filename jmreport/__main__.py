"""`python -m jmreport` is the same program as `jmreport`."""

import sys

from jmreport.cli import main

if __name__ == "__main__":
    sys.exit(main())
