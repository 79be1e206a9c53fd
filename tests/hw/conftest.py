"""Hardware tests elaborate many designs: do it fast."""

import pytest
from eie_hw.elaboration import quick_elaboration


@pytest.fixture(autouse=True, scope="session")
def _quick_elaboration():
    with quick_elaboration():
        yield
