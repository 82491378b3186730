"""Which cards a worker may use."""

import pytest
from callsheet_gpu_worker.choice import Choice, Place, choice_of, order_is_doubtful

from callsheet.worker.stream.devices import Device
from tests.support.cards import ATLAS, BOREAS

FIRST = Place(uuid=ATLAS, index=0, instance=None)
SECOND = Place(uuid=BOREAS, index=1, instance=None)
THIRD = Place(uuid="MIG-cccccccc-1", index=2, instance=1)


def device(place: Place, name: str = "Tesla 16 GB") -> Device:
    return Device(
        uuid=place.uuid, index=place.index, name=name, capacity_mib=1, driver="1", instance=place.instance
    )


@pytest.mark.parametrize(
    ("setting", "environment", "taken"),
    [
        (None, {}, [FIRST, SECOND, THIRD]),
        (None, {"CUDA_VISIBLE_DEVICES": "1"}, [SECOND]),
        (None, {"CUDA_VISIBLE_DEVICES": ""}, []),
        (None, {"CUDA_VISIBLE_DEVICES": "0,-1,1"}, [FIRST]),
        (None, {"CUDA_VISIBLE_DEVICES": "NoDevFiles"}, []),
        ("0, GPU-bbbb", {"CUDA_VISIBLE_DEVICES": "2"}, [FIRST, SECOND]),
        (ATLAS, {}, [FIRST]),
        ("2:1", {}, [THIRD]),
        ("2:0", {}, []),
        ("2", {}, [THIRD]),
        ("MIG-cccccccc-1", {}, [THIRD]),
        ("none", {}, []),
    ],
)
def test_setting_or_cuda_variable_restricts_the_cards(
    setting: str | None, environment: dict[str, str], taken: list[Place]
) -> None:
    choice = choice_of(setting, environment)

    assert [place for place in (FIRST, SECOND, THIRD) if choice.takes(place)] == taken


def test_entries_that_name_no_card_are_told() -> None:
    choice = choice_of(f"0,5,{BOREAS}", {})

    assert choice.missing([device(FIRST)]) == ["5", BOREAS]
    assert Choice().missing([]) == []


def test_indexes_of_cuda_are_doubtful_where_cards_differ() -> None:
    mixed = [device(FIRST), device(SECOND, "Tesla 24 GB")]
    alike = [device(FIRST), device(SECOND)]
    by_index = {"CUDA_VISIBLE_DEVICES": "0"}

    assert order_is_doubtful(choice_of(None, by_index), mixed, by_index)
    assert not order_is_doubtful(choice_of(None, by_index), alike, by_index)
    in_order = by_index | {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert not order_is_doubtful(choice_of(None, in_order), mixed, in_order)
    by_uuid = {"CUDA_VISIBLE_DEVICES": ATLAS}
    assert not order_is_doubtful(choice_of(None, by_uuid), mixed, by_uuid)
    assert not order_is_doubtful(choice_of("0", by_index), mixed, by_index)
