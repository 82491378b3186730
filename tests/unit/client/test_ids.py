"""Ids are in canonical form, and later ones sort behind earlier ones."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsheet.errors import InvalidError
from callsheet.ids import check_id, new_job_id


def test_a_new_id_is_a_uuid_of_version_7() -> None:
    made = new_job_id()

    assert UUID(made).version == 7
    assert check_id(made, "id") == made


def test_later_ids_sort_behind_earlier_ones() -> None:
    made = [new_job_id() for _ in range(1000)]

    assert made == sorted(set(made))


@given(st.uuids())
def test_capital_letters_are_made_small(uuid: UUID) -> None:
    assert check_id(str(uuid).upper(), "id") == str(uuid)


@pytest.mark.parametrize(
    "wrong", ["", "x", "{01890a5d-ac96-774b-bcce-b302099a8057}", "01890a5dac96774bbcceb302099a8057"]
)
def test_another_form_is_refused_with_its_field(wrong: str) -> None:
    with pytest.raises(InvalidError) as caught:
        check_id(wrong, "jobs[2].id")

    assert caught.value.field == "jobs[2].id"
