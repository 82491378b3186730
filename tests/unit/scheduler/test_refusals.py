"""Parameters that are not right are refused by the name of the one that is wrong, and with what is right."""

import json
from dataclasses import replace

import pytest
from callsheet_scheduler.use_cases.job_types import JobTypes

from callsheet.errors import InvalidError
from tests.support.job_types import NOOP

VIDEO = "0190a5d0-ac96-774b-8cce-000000000001"

NESTED = {
    "type": "object",
    "properties": {
        "crop": {
            "type": "object",
            "properties": {"left": {"type": "integer"}},
            "required": ["left"],
            "additionalProperties": False,
        },
        "sizes": {"type": "array", "items": {"type": "integer", "maximum": 10}},
        "mode": {"enum": ["fast", "slow"]},
    },
}


def refusal(job_type: str, params: object) -> tuple[str, str]:
    """Return the field and the sentence with which *params* are refused."""
    types = JobTypes()
    types.learn(replace(NOOP, name="nested", params_schema=json.dumps(NESTED)))
    with pytest.raises(InvalidError) as caught:
        types.check_params(job_type, json.dumps(params), field="jobs[0].params")
    return caught.value.field.removeprefix("jobs[0]."), caught.value.message


@pytest.mark.parametrize(
    ("job_type", "params", "field", "remedy"),
    [
        ("thumbnail_generate", {"videoId": VIDEO, "width": 5}, "params.width", "minimum of 16"),
        ("thumbnail_generate", {"videoId": VIDEO, "width": 9000}, "params.width", "maximum of 8192"),
        ("thumbnail_generate", {"videoId": VIDEO, "width": "wide"}, "params.width", 'type "integer"'),
        ("thumbnail_generate", {"videoId": VIDEO, "widht": 50}, "params.widht", "timestamp, videoId, width"),
        ("thumbnail_generate", {}, "params.videoId", "is required"),
        ("thumbnail_generate", {"videoId": "mine"}, "params.videoId", '"uuid"'),
        ("validate", {"videoId": VIDEO, "depth": "deep"}, "params.depth", "probe|demux|decode"),
        ("scan", {"root": 3}, "params.root", 'type "string"'),
        ("derivatives_generate", {"itemIds": [VIDEO, 3]}, "params.itemIds[1]", 'type "string"'),
        ("nested", {"crop": {}}, "params.crop.left", "is required"),
        ("nested", {"crop": {"left": 1, "top": 2}}, "params.crop.top", "leave it out"),
        ("nested", {"sizes": [1, 2, 30]}, "params.sizes[2]", "maximum of 10"),
        ("nested", {"mode": "odd"}, "params.mode", '"fast" or "slow"'),
        ("nested", [], "params", "JSON object"),
    ],
)
def test_the_parameter_that_is_wrong_is_named_with_what_is_right(
    job_type: str, params: object, field: str, remedy: str
) -> None:
    named, sentence = refusal(job_type, params)

    assert named == field
    assert remedy in sentence
