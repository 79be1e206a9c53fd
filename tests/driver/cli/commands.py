"""Commands as the tests run them."""

import json

from eie.cli import main


def run_json(capsys, *arguments) -> dict:
    assert main([*map(str, arguments), "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return json.loads(out)
