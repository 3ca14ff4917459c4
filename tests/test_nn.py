"""The training loop, the rows it draws, and the blocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tocsin.errors import ParameterError, TrainingFailed
from tocsin.nn import training
from tocsin.nn.blocks import MemberLinear, mlp
from tocsin.nn.device import pick_device
from tocsin.nn.network import mean_and_scale
from tocsin.nn.training import MemberBatches, Objective, Schedule, train
from tocsin.progress import reporting_to

CPU = torch.device("cpu")


def make_rows(data: np.ndarray, fold: np.ndarray, members: int, seed: int = 0) -> MemberBatches:
    return MemberBatches(data, fold, members, lambda x: x, CPU, seed)


class Values(nn.Module):
    """One number a member."""

    def __init__(self, *start: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(start).view(-1, 1))

    def player(self, target: float) -> Objective:
        return Objective([self.value], lambda x: (self.value[:, 0] - target).square())


def test_members_are_independent_plain_networks() -> None:
    layer = MemberLinear(3, 4, 2)
    x = torch.randn(3, 5, 4)
    for member in range(3):
        assert layer.bias is not None
        alone = x[member] @ layer.weight[member] + layer.bias[member]
        torch.testing.assert_close(layer(x)[member], alone)


def test_a_network_without_bias_maps_zero_to_zero() -> None:
    net = mlp(2, [3, 8, 2], nn.LeakyReLU, bias=False)
    assert not net(torch.zeros(2, 4, 3)).any()


def test_a_member_never_learns_from_its_own_fold() -> None:
    data, fold = np.arange(30.0)[:, None], np.arange(30) % 3
    rows = make_rows(data, fold, members=3)
    drawn = torch.cat([rows.batch(7) for _ in range(20)], 1)
    held_out = rows.held_out(100)
    for member in range(3):
        own = set(data[fold == member, 0])
        assert set(drawn[member, :, 0].tolist()) == set(data[:, 0]) - own
        assert set(held_out[member, :, 0].tolist()) == own


def test_an_epoch_takes_every_row_once() -> None:
    rows = make_rows(np.arange(20.0)[:, None], np.r_[np.zeros(8), np.ones(12)].astype(int), 1)
    epoch = torch.cat([rows.batch(4) for _ in range(3)], 1).flatten()
    assert sorted(epoch.tolist()) == list(range(8, 20))


def test_members_share_folds_when_rows_are_few() -> None:
    rows = make_rows(np.array([[1.0], [2.0]]), np.array([0, 1]), members=5)
    assert rows.batch(64).flatten().tolist() == [2, 1, 2, 1, 2]
    assert rows.held_out(64).flatten().tolist() == [1, 2, 1, 2, 1]


def test_rows_of_a_memory_mapped_file_are_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = np.random.default_rng(0).normal(size=(200, 3))
    np.save(tmp_path / "data.npy", data)
    mapped = np.load(tmp_path / "data.npy", mmap_mode="r")
    fold = np.arange(200) % 2
    cached = make_rows(data, fold, 2)
    monkeypatch.setattr(training, "_CACHED", 10)
    streamed = make_rows(mapped, fold, 2)
    for _ in range(9):
        assert torch.equal(cached.batch(32), streamed.batch(32))
    assert torch.equal(cached.held_out(50), streamed.held_out(50))


def test_each_member_keeps_its_own_best_weights() -> None:
    net = Values(0.0, 0.0)
    seen: list[Tensor] = []

    def validate(_: Tensor) -> Tensor:  # member 0 is best early, member 1 at the end
        seen.append(net.value.detach().clone())
        return torch.tensor([abs(len(seen) - 2.0), -float(len(seen))])

    rows = make_rows(np.zeros((8, 1)), np.arange(8) % 2, 2)
    schedule = Schedule(steps=50, check_every=10, learning_rate=0.1)
    history = train(net, [net.player(5.0)], rows, validate, schedule)
    assert history.steps == [10, 20, 30, 40, 50]
    assert net.value[0] == seen[1][0] != seen[4][0]
    assert net.value[1] == seen[4][1]


def test_training_ends_when_no_member_improves() -> None:
    net = Values(0.0)
    rows = make_rows(np.zeros((8, 1)), np.arange(8) % 2, 1)
    schedule = Schedule(steps=1000, check_every=5, patience=3)
    steps: list[int] = []
    with reporting_to(lambda what, step, total: steps.append(step)):
        history = train(net, [net.player(5.0)], rows, lambda x: torch.ones(1), schedule)
    assert history.steps == steps == [5, 10, 15, 20]


def test_objectives_take_turns_on_the_same_batch() -> None:
    first, second = Values(0.0), Values(0.0)
    both = nn.ModuleList([first, second])
    calls: list[tuple[str, float]] = []

    def player(name: str, net: Values) -> Objective:
        def loss(x: Tensor) -> Tensor:
            calls.append((name, float(x.sum())))
            return net.value[:, 0].square()

        return Objective([net.value], loss)

    rows = make_rows(np.arange(8.0)[:, None], np.arange(8) % 2, 1)
    players = [player("a", first), player("b", second)]
    train(both, players, rows, lambda x: torch.ones(1), Schedule(steps=3, batch_size=2))
    assert [name for name, _ in calls] == ["a", "b"] * 3
    assert all(calls[i][1] == calls[i + 1][1] for i in (0, 2, 4))


def test_gradients_are_clipped_member_by_member() -> None:
    net = Values(0.0, 0.0)
    slopes = torch.tensor([1e9, 0.5])
    player = Objective([net.value], lambda x: net.value[:, 0] * slopes)
    rows = make_rows(np.zeros((4, 1)), np.arange(4) % 2, 2)
    train(net, [player], rows, lambda x: torch.ones(2), Schedule(steps=1, gradient_norm=5.0))
    torch.testing.assert_close(net.value.grad, torch.tensor([[5.0], [0.5]]))


def test_a_loss_that_is_not_finite_is_an_error() -> None:
    net = Values(0.0)
    rows = make_rows(np.zeros((8, 1)), np.arange(8) % 2, 1)
    with pytest.raises(TrainingFailed, match="step 25"):
        train(net, [net.player(1.0)], rows, lambda x: torch.tensor([np.nan]), Schedule())


def test_mean_and_scale_in_chunks() -> None:
    X = np.random.default_rng(0).normal(3, [1e-9, 1.0, 1e6], size=(1000, 3))
    mean, scale = mean_and_scale(X, size=64)
    np.testing.assert_allclose(mean, X.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(scale, X.std(axis=0), rtol=1e-6)


def test_constant_and_huge_columns_have_a_usable_scale() -> None:
    mean, scale = mean_and_scale(np.array([[7.0, 0.0, 1e300], [7.0, 0.0, -1e300]]))
    np.testing.assert_allclose(mean, [7.0, 0.0, 0.0])
    np.testing.assert_allclose(scale, [1.0, 1.0, 1e300])


def test_an_absent_device_is_named() -> None:
    with pytest.raises(ParameterError, match=r'"tpu" is not here.*cpu'):
        pick_device("tpu")
