"""results.json is compared with its checksum."""

import json

from jaxae.runs.folder import CHECKSUM, Run


def test_a_changed_result_is_said_and_not_used(tmp_path, capsys):
    Run(tmp_path, {}).finish({"test/loss": 1.5})
    path = tmp_path / "results.json"
    assert json.loads(path.read_text()) == Run(tmp_path, {}).results == {"test/loss": 1.5}
    for damaged in (b'{"test/loss": 7.5}', b'{"test/lo', b"", b"\xff\x00"):
        path.write_bytes(damaged)
        assert Run(tmp_path, {}).results is None
        assert "damaged" in capsys.readouterr().err
    path.write_text('{"test/loss": 7.5}')
    (tmp_path / CHECKSUM).unlink()  # as an earlier version wrote it
    assert Run(tmp_path, {}).results == {"test/loss": 7.5}
