"""What an ONNX model of a model folder may hold, and how long it may run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from tocsin.errors import CorruptModel
from tocsin.nn.onnx import time_limit
from tocsin.nn.onnx.contents import check_contents
from tocsin.nn.onnx.session import open_session

FLOAT = TensorProto.FLOAT


def model(*nodes: Any, side: int = 4) -> Any:
    """Return a model from x to y, both (side, side)."""
    x, y = (helper.make_tensor_value_info(name, FLOAT, [side, side]) for name in "xy")
    weights = helper.make_tensor("w", FLOAT, [side, side], np.eye(side, dtype=np.float32).ravel())
    graph = helper.make_graph(list(nodes), "g", [x], [y], [weights])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def product() -> Any:
    return model(helper.make_node("MatMul", ["x", "w"], ["y"]))


def external_weights(made: Any) -> None:
    tensor = made.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "weights.bin"


def external_location_alone(made: Any) -> None:
    made.graph.initializer[0].data_location = TensorProto.EXTERNAL


def external_constant(made: Any) -> None:
    tensor = helper.make_tensor("c", FLOAT, [1], [1.0])
    tensor.external_data.add().key = "location"
    made.graph.node.append(helper.make_node("Constant", [], ["c"], value=tensor))


def loop(made: Any) -> None:
    made.graph.node.append(helper.make_node("Loop", ["", "", "x"], ["z"], body=made.graph))


def branch(made: Any) -> None:
    node = helper.make_node("If", ["c"], ["z"], then_branch=made.graph, else_branch=made.graph)
    made.graph.node.append(node)


def several_graphs(made: Any) -> None:
    made.graph.node.append(helper.make_node("Identity", ["x"], ["z"], bodies=[made.graph]))


def function(made: Any) -> None:
    opset = [helper.make_opsetid("", 17)]
    made.functions.append(helper.make_function("own", "F", ["a"], ["b"], [], opset))


def other_domain(made: Any) -> None:
    made.graph.node.append(helper.make_node("Gelu", ["x"], ["z"], domain="com.microsoft"))


def other_operators(made: Any) -> None:
    made.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def sparse_weights(made: Any) -> None:
    values = helper.make_tensor("s", FLOAT, [1], [1.0])
    where = helper.make_tensor("i", TensorProto.INT64, [1], [0])
    made.graph.sparse_initializer.append(helper.make_sparse_tensor(values, where, [4]))


def training(made: Any) -> None:
    made.training_info.add().initialization.name = "t"


def test_a_plain_model_runs() -> None:
    x = np.arange(16, dtype=np.float32).reshape(4, 4)
    (y,) = open_session(product().SerializeToString(), 1).run(["y"], {"x": x})
    np.testing.assert_array_equal(y, x)


@pytest.mark.parametrize(
    "change",
    [
        external_weights,
        external_location_alone,
        external_constant,
        loop,
        branch,
        several_graphs,
        function,
        other_domain,
        other_operators,
        sparse_weights,
        training,
    ],
)
def test_what_reaches_out_or_repeats_is_refused(change: Callable[[Any], None]) -> None:
    made = product()
    change(made)
    with pytest.raises(CorruptModel, match="refers to other files"):
        open_session(made.SerializeToString(), 1)


def test_a_graph_in_two_pieces_is_read_in_both() -> None:
    made, second = product(), onnx.ModelProto()
    external_weights(made)
    second.graph.CopyFrom(made.graph)
    with pytest.raises(CorruptModel, match="refers to other files"):
        check_contents(product().SerializeToString() + second.SerializeToString())


def test_every_cut_is_corrupt_or_a_model_of_fewer_fields() -> None:
    content = product().SerializeToString()
    for end in range(len(content)):
        try:
            check_contents(content[:end])
        except CorruptModel:
            continue
        onnx.load_model_from_string(content[:end])


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_as_corrupt_or_read(content: bytes) -> None:
    with suppress(CorruptModel):
        check_contents(content)


def test_a_run_that_takes_too_long_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_limit, "SECONDS", 0.2)
    monkeypatch.setattr(time_limit, "_PAUSE", 0.05)
    side, many = 400, 4_000
    names = ["x", *(f"h{i}" for i in range(many - 1)), "y"]
    nodes = [helper.make_node("MatMul", [a, "w"], [b]) for a, b in pairwise(names)]
    session = open_session(model(*nodes, side=side).SerializeToString(), 1)
    with pytest.raises(CorruptModel, match="cannot be run"):
        session.run(["y"], {"x": np.ones((side, side), dtype=np.float32)})


GROWING = """
import resource, sys
import numpy as np
from tocsin.errors import CorruptModel
from tocsin.nn.onnx import memory_limit
from tocsin.nn.onnx.session import open_session

memory_limit.most_bytes = lambda: 256 * 2**20
content = sys.stdin.buffer.read()
size = int.from_bytes(content[:8], "little")
open_session(content[8 : 8 + size], 1).run(["y"], {"x": np.ones((4, 4), np.float32)})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    open_session(content[8 + size :], 1).run(["y"], {"x": np.ones((4, 4), np.float32)})
except CorruptModel as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def growing(kind: str) -> bytes:
    """Return a small model that makes gigabytes of 16 numbers."""
    if kind == "doubling":
        names = ["x", *(f"c{i}" for i in range(26))]
        nodes = [helper.make_node("Concat", [a, a], [b], axis=0) for a, b in pairwise(names)]
        return model(*nodes, helper.make_node("ReduceSum", ["c25"], ["y"])).SerializeToString()
    shape = helper.make_tensor("s", TensorProto.INT64, [3], [100_000_000, 4, 4])
    grow = {
        "expanding": helper.make_node("Expand", ["x", "s"], ["c"]),
        "constant": helper.make_node("ConstantOfShape", ["s"], ["c"]),
        "tiling": helper.make_node("Tile", ["x", "t"], ["c"]),
    }[kind]
    made = model(grow, helper.make_node("ReduceSum", ["c"], ["y"]))
    times = helper.make_tensor("t", TensorProto.INT64, [2], [100_000, 10_000])
    made.graph.initializer.extend([shape, times])
    return made.SerializeToString()


def lying(kind: str) -> bytes:
    """Return a model with a tensor that is said to have gigabytes, and does not."""
    tensor = TensorProto(name="l", data_type=FLOAT, dims=[2**20, 2**10])
    if kind == "raw":
        tensor.raw_data = bytes(64)
    elif kind == "numbers":
        tensor.float_data.extend([0.0] * 16)
    elif kind == "beyond all":
        tensor.dims[:] = [2**40, 2**40]
    add = [helper.make_node("ReduceSum", ["l"], ["t"], keepdims=0)]
    if kind == "constant":
        add.insert(0, helper.make_node("Constant", [], ["l"], value=tensor))
    made = model(*add, helper.make_node("Add", ["x", "t"], ["y"]))
    if kind != "constant":
        made.graph.initializer.append(tensor)
    return made.SerializeToString()


@pytest.mark.parametrize(
    "content",
    [
        *(growing(kind) for kind in ("doubling", "expanding", "constant", "tiling")),
        *(lying(kind) for kind in ("raw", "numbers", "nothing", "constant", "beyond all")),
    ],
)
def test_a_small_model_takes_little_memory(content: bytes) -> None:
    plain = product().SerializeToString()
    fed = len(plain).to_bytes(8, "little") + plain + content
    done = subprocess.run(
        [sys.executable, "-c", GROWING], input=fed, capture_output=True, check=True
    )
    said, megabytes = done.stdout.decode().splitlines()
    assert said.startswith("The ONNX model cannot be run")
    assert int(megabytes) < 400
    assert done.stderr == b""


def test_what_the_model_cannot_take_is_corrupt() -> None:
    session = open_session(product().SerializeToString(), 1)
    for fed in ({"x": np.ones((3, 3), dtype=np.float32)}, {"z": np.ones(1)}, {}):
        with pytest.raises(CorruptModel, match="cannot be run"):
            session.run(["y"], fed)
    with pytest.raises(CorruptModel, match="cannot be run"):
        session.run(["z"], {"x": np.ones((4, 4), dtype=np.float32)})
