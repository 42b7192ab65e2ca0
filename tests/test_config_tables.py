"""The settings as they are shown: complete, aligned, secrets masked."""

import json

from streamproc.config import Settings
from streamproc.config_sources import load_settings
from streamproc.config_tables import (
    render_reference,
    render_settings_json,
    render_settings_table,
    setting_rows,
)

SECRETIVE = load_settings(
    environ={
        "STREAMPROC_SECURITY_PROTOCOL": "SASL_SSL",
        "STREAMPROC_SASL_USERNAME": "worker",
        "STREAMPROC_SASL_PASSWORD": "hush-1",
        "STREAMPROC_SSL_KEY_PASSWORD": "hush-2",
        "STREAMPROC_KAFKA_OPTIONS": '{"ssl.keystore.password": "hush-3", "retries": 5}',
    }
)


def test_no_form_shows_a_secret():
    """Masked in table, JSON and reference; what is no secret is shown."""
    shown = render_settings_table(SECRETIVE) + render_settings_json(SECRETIVE)

    assert "hush" not in shown
    assert shown.count("********") == 6
    assert '"retries": 5' in shown


def test_table_is_aligned_and_complete():
    """One line per setting under the head, each column starting at the same place."""
    head, *lines = render_settings_table(SECRETIVE).splitlines()

    assert [line.split()[0] for line in lines] == list(Settings.model_fields)
    for column, row_field in (("VALUE", 1), ("ORIGIN", 3), ("MEANING", 4)):
        start = head.index(column)
        assert {line[start - 2 : start] for line in lines} == {"  "}
        if row_field > 1:
            texts = [row[row_field] for row in setting_rows(SECRETIVE)]
            assert [line[start:][: len(t)] for line, t in zip(lines, texts, strict=True)] == texts


def test_json_holds_value_unit_origin_and_meaning():
    """Numbers stay numbers; the origin is the variable's name."""
    shown = json.loads(render_settings_json(SECRETIVE))

    assert shown["batch_records"] == {
        "value": 2000,
        "unit": "records",
        "origin": "default",
        "meaning": Settings.model_fields["batch_records"].description,
    }
    assert shown["sasl_username"]["origin"] == "STREAMPROC_SASL_USERNAME"


def test_reference_lists_every_setting_once():
    """A Markdown table with five cells a row, in the order of Settings, the same on any machine."""
    lines = render_reference().splitlines()
    cells = [line.strip("| ").split(" | ") for line in lines]

    assert [row[0].strip("`") for row in cells[2:]] == list(Settings.model_fields)
    assert {len(row) for row in cells} == {5}
    assert [row[2] for row in cells if row[0] == "`rules`"] == ["the shipped rules"]
