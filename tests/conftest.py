"""The option --full, and hypothesis without a deadline: the machines that run the tests are shared."""

import os

import pytest
from hypothesis import settings

settings.register_profile("eie", deadline=None, print_blob=True)
# For a processor that is simulated (scripts/test_arm.sh).
settings.register_profile("few", settings.get_profile("eie"), max_examples=4)
settings.load_profile(os.environ.get("EIE_TEST_PROFILE", "eie"))

LEFT_OUT = "heavy; runs with --full"


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="run the heavy tests too")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--full"):
        return
    for item in items:
        if item.get_closest_marker("full"):
            item.add_marker(pytest.mark.skip(reason=LEFT_OUT))


def pytest_terminal_summary(terminalreporter, config):
    left_out = sum(LEFT_OUT in str(report.longrepr) for report in terminalreporter.stats.get("skipped", ()))
    if left_out:
        tests = "1 heavy test was" if left_out == 1 else f"{left_out} heavy tests were"
        terminalreporter.write_line(f"{tests} left out; scripts/test.sh --full runs all")
