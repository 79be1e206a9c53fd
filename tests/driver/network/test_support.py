"""The page of networks lists the operators that there are."""

from pathlib import Path

from eie.network.support import support_table

PAGE = Path(__file__).parents[3] / "docs" / "networks.md"


def test_the_page_has_the_table_of_the_operators():
    assert support_table() in PAGE.read_text(), (
        "docs/networks.md: replace its table by eie.network.support.support_table()"
    )
