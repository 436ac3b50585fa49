"""Runs the tests beside this file and ends with a line that scripts/test counts."""

import sys
import unittest
from pathlib import Path


def main():
    tests = unittest.defaultTestLoader.discover(str(Path(__file__).parent))
    result = unittest.TextTestRunner(verbosity=2).run(tests)
    # One that is skipped or that cannot even be loaded is no test passed.
    bad = len(result.failures) + len(result.errors) + len(result.skipped) + len(result.unexpectedSuccesses)
    print(f"checks: {result.testsRun - bad} passed; {bad} failed")
    return 0 if bad == 0 and result.testsRun > 0 else 1


sys.exit(main())
