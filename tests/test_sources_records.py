"""Records of any source to batches: times, entities, ids, nested and odd values."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.sources._records import Fields, batch_of, rows_of, times_of

MOMENT = np.datetime64("2026-03-01T08:20:00", "us")
SECONDS = 1_772_353_200


@pytest.mark.parametrize(
    "time",
    [
        f"{SECONDS}",
        f"{SECONDS}.0",
        f"{SECONDS}000",
        f"{SECONDS}000000",
        f"{SECONDS}000000000",
        '"2026-03-01T08:20Z"',
        '"2026-03-01T09:20:00+01:00"',
        '"2026-03-01 08:20:00"',
        f'"{SECONDS}"',
    ],
)
def test_times_are_read_in_any_unit(time: str) -> None:
    both = [b'{"n": 1, "time": %s}' % time.encode(), b'{"n": 1, "time": "never"}']
    batch = batch_of(both, Fields())
    assert batch.times.tolist() == [MOMENT.item()]
    assert "is 'never', which is not a time; expected" in batch.rejected[0].reason
    assert batch_of(both[:1], Fields()).times[0] == MOMENT


def test_what_the_source_knows_fills_what_an_event_does_not_say() -> None:
    raw = [b"{", b'{"n": 1}', b'{"n": 2, "time": 0, "entity": "own", "id": 5}']
    times = times_of([1, 2_000, 3])
    batch = batch_of(raw, Fields(), times=times, entities=["a", "b", "c"], ids=["x", "y", "z"])
    assert batch.ids == ("y", "5")
    assert batch.entities == ("b", "own")
    assert batch.times.astype("int64").tolist() == [2_000_000, 0]
    assert batch.frame.to_dict("records") == [{"n": 1}, {"n": 2}]


def test_without_a_source_ids_count_only_if_all_have_one() -> None:
    assert batch_of([b'{"n": 1, "id": 1}', b'{"n": 1, "id": "b"}'], Fields()).ids == ("1", "b")
    assert batch_of([b'{"n": 1, "id": 1}', b'{"n": 2}'], Fields()).ids is None


def test_columns_and_names_of_fields_may_be_chosen() -> None:
    fields = Fields(time="at", entity="host", columns=("b", "c"))
    batch = batch_of([b'{"at": 0, "host": "h", "a": 1, "b": 2}'], fields)
    assert batch.frame.to_dict("list") == {"b": [2], "c": [None]}
    assert batch.entities == ("h",)


def test_typed_rows_keep_their_types() -> None:
    frame = pd.DataFrame(
        {"time": pd.to_datetime(["2026-03-01T08:20Z", None]), "id": [1, 2], "heat": [21.5, 3]}
    )
    batch = rows_of(frame, Fields())
    assert batch.times.tolist()[0] == MOMENT.item()
    assert batch.ids == ("1", "2")
    assert batch.frame["heat"].dtype == np.float64


def test_an_event_without_values_is_none() -> None:
    nothing = [b"{}", b'{"time": 0}', b'{"id": 1, "entity": "a"}']
    batch = batch_of(nothing, Fields())
    assert [rejection.reason for rejection in batch.rejected] == ["it holds no values"] * 3
    nested = batch_of([b'{"deep": {}}', b'{"deep": {"time": {}}}'], Fields())
    assert len(nested.rejected) == 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=40) | JSON, min_size=1, max_size=6))
def test_whatever_comes_is_an_event_or_a_rejection(values: list[object]) -> None:
    import json

    raw = [v if isinstance(v, bytes) else json.dumps(v).encode() for v in values]
    raw += [json.dumps({name: repr(v)}).encode() for v in values for name in ("time", "n", "")]
    raw += [json.dumps({"n": repr(v), "time": 10.0**i}).encode() for i, v in enumerate(values)]
    batch = batch_of(raw, Fields(), ids=[str(i) for i in range(len(raw))])
    assert len(batch) + len(batch.rejected) == len(raw)
    assert not np.isnat(batch.times).any()
