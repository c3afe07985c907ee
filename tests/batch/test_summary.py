"""Summaries of a batch: in the order of the file, of the last run alone, and whatever letters its rows have."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from laser_cli.batch.journal import Journal
from laser_cli.batch.schedule import Totals
from laser_cli.batch.spool import Spool
from laser_cli.batch.summary import is_summary, json_parts, junit, page, results, totals_of, write_parts
from laser_cli.batch.tasks import Failure, Outcome, Task
from laser_cli.jobs.outputs import Outputs

ODD = 'a <b> & "c" \x00\x1b[31m \u202e d'


@pytest.fixture
def ran(tmp_path):
    """The totals of a run of four jobs, and what reads their results: one done before, one failed, one still to do."""
    state = tmp_path / "state"
    journal, spool = Journal(state), Spool(tmp_path / "jobs.jsonl")
    for number in range(1, 5):
        outputs = Outputs(out=Path(f"{number} é.gif" if number != 3 else "3.mp4"))
        task = Task(
            number=number, id=ODD if number == 2 else None, verb="mock", job="", outputs=outputs, key=str(number)
        )
        spool.add(task, finished=number == 1)
    journal.begin(4)  # a run before, whose results are not this one's
    journal.ended(spool.read(3), Outcome(number=4, status="done"), 1)
    journal.begin(4, skipped=1)
    journal.ended(spool.read(2), Outcome(number=3, status="done", paths=("3.mp4",), sizes=(1,), seconds=2.0), 2)
    failure = Failure(exit_code=4, what=ODD, why="so", hint="less")
    journal.ended(
        spool.read(1).model_copy(update={"label": ODD}), Outcome(number=2, status="failed", failure=failure), 1
    )
    journal.close()
    return totals_of(Totals(done=1, failed=1, left=1), 4, 1), lambda: results(state, spool)


def test_json_has_every_result_in_the_order_of_the_file(ran):
    told, read = ran
    whole = json.loads("".join(json_parts(told, read())))
    assert (whole["version"], whole["jobs"], whole["done"], whole["skipped"], whole["failed"], whole["left"]) == (
        1, 4, 1, 1, 1, 1,
    )  # fmt: skip
    assert [(row["n"], row["status"]) for row in whole["results"]] == [(1, "skipped"), (2, "failed"), (3, "done")]
    assert whole["results"][1]["error"] == {"exit_code": 4, "what": ODD, "why": "so", "hint": "less"}
    assert whole["results"][2]["attempts"] == 2
    assert json.loads("".join(json_parts(told, iter(()))))["results"] == []


def test_junit_is_xml_whatever_the_rows_say(ran):
    told, read = ran
    suite = ElementTree.fromstring("".join(junit(told, read())).encode())
    assert (suite.get("tests"), suite.get("failures"), len(suite)) == ("4", "1", 3)
    assert suite[1].get("name").startswith('a <b> & "c"') and "so" in suite[1][0].text


def test_the_page_shows_outputs_where_they_lie_and_escapes_what_rows_say(ran, tmp_path):
    told, read = ran
    text = "".join(page(told, read(), tmp_path / "pages", str(tmp_path / "out")))
    assert '<video src="../out/3.mp4"' in text and '<img src="../out/1%20%C3%A9.gif"' in text
    assert "<b>" not in text and "\x1b" not in text and "a &lt;b&gt; &amp;" in text
    assert 'src="s3://bucket/3.mp4"' in "".join(page(told, read(), tmp_path, "s3://bucket/"))
    path = tmp_path / "pages" / "index.html"
    write_parts(path, page(told, read(), path.parent, str(tmp_path)))
    assert is_summary(path) and not is_summary(Path(__file__))


def test_a_driver_needs_no_torch():
    code = (
        "import sys; from pathlib import Path; from laser_cli.batch.build import build; "
        "from laser_cli.batch.rows import Row; import laser_cli.batch.run, laser_cli.batch.processes; "
        "from laser_cli.presets_dir import presets_folder; "
        "image = str(presets_folder() / 'storybook' / 'cottage.png'); "
        "build(Row({'image': image, 'description': 'night falls'}), 1); "
        "build(Row({'command': 'interpolate', 'stops': ['a', 'b']}), 1); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
