"""Parameters: of size one for an optimiser, in SI units for everybody else, always in limits."""

import io
import pickle
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from brian2 import Network, NeuronGroup, SpikeGeneratorGroup, Synapses, ms, mV, nS
from torch.optim import LBFGS, SGD, Adam

import mirrorneuron as mn
from mirrorneuron.bridge.parameter import Limit
from mirrorneuron.errors import DomainError, GradientError, ShapeError, UnknownName

LIMITS: dict[str, Limit] = {
    "free": mn.Free(),
    "positive": mn.Positive(),
    "bounded": mn.Bounded(0.2 * mV, 7 * mV),
    "sign": mn.Sign(),
}
DTYPES = [torch.float32, torch.float64]
WEIGHTS = np.array([0.3, 1 / 3, 2.7182818, 5.0])


def network(weights: np.ndarray = WEIGHTS) -> Network:
    """Two cells that relax to a level, and given spikes."""
    stimulus = SpikeGeneratorGroup(2, [0, 1, 0], [1, 2, 3] * ms, name="stimulus")
    cells = NeuronGroup(
        2, "dv/dt = (E - v)/tau : volt\nE : volt (constant)\ntau : second (constant)",
        method="exponential_euler", name="cells",
    )  # fmt: skip
    cells.E, cells.tau = [1, 2] * mV, [5, 7] * ms
    synapses = Synapses(stimulus, cells, "w : volt", on_pre="v_post += w", name="syn")
    synapses.connect()
    synapses.w = weights * mV
    return Network(stimulus, cells, synapses)


def model(train: Any, dtype: torch.dtype = torch.float64, **arguments: Any) -> mn.Mirror:
    return mn.mirror(network(**arguments), train=train, dtype=dtype)


def loss(made: mn.Mirror) -> torch.Tensor:
    """A quadratic distance of the potentials from 4 mV."""
    v = made.run(4 * ms, record=["cells.v"])["cells.v"]
    return ((v - 4e-3) / 1e-3).square().mean()


# ---- of size one


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("limit", LIMITS)
def test_a_parameter_starts_at_the_networks_value_to_the_last_bit(limit: str, dtype: torch.dtype):
    made = model({"syn.w": LIMITS[limit]}, dtype)
    expected = torch.from_numpy(network()["syn"].w_[:]).to(dtype)
    assert torch.equal(made.parameter("syn.w"), expected)
    assert torch.equal(made.state_dict()["syn.w"], expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("limit", LIMITS)
def test_a_plain_step_of_adam_moves_each_parameter_by_about_a_hundredth(
    limit: str, dtype: torch.dtype
):
    made = model({"syn.w": LIMITS[limit], "cells.tau": mn.Positive()}, dtype)
    before = made.state_dict()
    optimizer = Adam(made.parameters(), lr=1e-2)
    loss(made).backward()
    optimizer.step()
    for key, after in made.state_dict().items():
        size = before[key].square().mean().sqrt()
        moved = (after - before[key]).square().mean().sqrt() / size
        assert 0.7e-2 < float(moved) < 1.5e-2, key


@pytest.mark.parametrize("factor", [1e-20, 1e-9, 1.0, 3e7])
def test_what_an_optimiser_sees_is_of_size_one_whatever_the_unit(factor: float):
    made = model({"syn.w": mn.Free()}, weights=WEIGHTS * factor)
    (raw,) = made.parameters()
    assert 0.7 <= float(raw.detach().square().mean().sqrt()) <= 1.42


def test_a_parameter_of_zeros_is_measured_in_its_unit():
    made = model({"syn.w": mn.Free()}, weights=np.zeros(4))
    with torch.no_grad():
        next(made.parameters()).fill_(0.5)
    assert torch.equal(made.parameter("syn.w"), torch.full((4,), 0.5))


def test_time_constants_stay_positive_unless_they_are_free():
    for train, logarithmic in [(["cells.tau"], True), ({"cells.tau": mn.Free()}, False)]:
        raw = next(model(train).parameters())
        assert bool((raw == 0).all()) == logarithmic
    assert bool((next(model(["syn.w"]).parameters()) != 0).all())


@pytest.mark.parametrize("start", [0.0, -1.0])
def test_a_positive_parameter_that_starts_elsewhere_has_no_logarithm(start: float):
    match = r"syn\.w is -?[0-9.]+ at element 2, but a positive.*mn\.Bounded\(0\*unit.*mn\.Sign"
    with pytest.raises(DomainError, match=match):
        model({"syn.w": mn.Positive()}, weights=np.array([1, 1, start, 1]))
    made = model({"syn.w": mn.Positive()})
    with torch.no_grad(), pytest.raises(DomainError, match=match):
        made.parameter("syn.w")[2] = start
    assert torch.equal(made.parameter("syn.w"), model(["syn.w"]).parameter("syn.w"))


# ---- limits


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("limit", [name for name in LIMITS if name != "free"])
@pytest.mark.parametrize("lr", [1.0, 1e6, -1e6])
def test_limits_hold_in_a_loop_of_a_users_own(limit: str, dtype: torch.dtype, lr: float):
    made = model({"syn.w": LIMITS[limit]}, dtype)
    low, high = (torch.tensor(x, dtype=dtype) for x in (0.2e-3, 7e-3))
    optimizer = SGD(made.parameters(), lr=abs(lr), maximize=lr < 0)
    for _ in range(3):
        optimizer.zero_grad()
        found = made.parameter("syn.w").square().sum() * 1e6
        found.backward()
        optimizer.step()
        w = made.parameter("syn.w").detach()
        assert torch.isfinite(w).all()
        if limit == "positive":
            assert (w > 0).all()
        elif limit == "sign":
            assert (w >= 0).all()
        else:
            assert (w >= low).all() and (w <= high).all()
        made.project_()
        assert torch.equal(made.parameter("syn.w"), w)
    if limit == "sign" and lr > 1:
        assert (made.parameter("syn.w") == 0).all()
    if limit == "bounded" and abs(lr) > 1:
        border = low if lr > 0 else high
        assert (made.parameter("syn.w") == border).all()


def test_a_sign_is_that_of_each_element():
    made = model({"syn.w": mn.Sign()}, weights=np.array([1.0, -1, 0, 2]))
    with torch.no_grad():
        made.parameter("syn.w").mul_(-1)
    assert made.parameter("syn.w").tolist() == [0, 0, 0, 0]
    with torch.no_grad():
        made.parameter("syn.w").copy_(torch.tensor([3.0, -3, -3, 3]))
    assert made.parameter("syn.w").tolist() == [3, -3, -3, 3]


@pytest.mark.parametrize("make", [
    lambda p: LBFGS(p, max_iter=4, line_search_fn="strong_wolfe"),
    lambda p: Adam(p, lr=0.3),
    lambda p: SGD(p, lr=0.3),
], ids=["lbfgs", "adam", "descent"])  # fmt: skip
def test_any_optimiser_goes_to_the_best_value_within_the_limits(make: Any):
    """Levels can be at most 2.5 mV, and the potentials should be at 4 mV: 2.7083 is the infimum."""
    made = model({"cells.E": mn.Bounded(-5 * mV, 2.5 * mV), "cells.tau": mn.Positive()},
                 weights=np.zeros(4))  # fmt: skip
    task = mn.Task(3 * ms, lambda r, _: ((r["cells.v"] - 4e-3) / 1e-3).square().mean(),
                   record=["cells.v"])  # fmt: skip

    def look(step: int, seen: mn.Mirror, done: mn.Fit) -> None:
        assert seen.parameter("cells.E").min() >= -5e-3
        assert seen.parameter("cells.E").max() <= 2.5e-3
        assert seen.parameter("cells.tau").min() > 0

    done = mn.fit(made, task, optimizer=make, steps=8, report=None, callback=look)
    assert made.parameter("cells.E").max() == 2.5e-3
    assert done.losses[-1] < (2.709 if isinstance(make(made.parameters()), LBFGS) else 6)


# ---- in SI units


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("limit", LIMITS)
def test_a_state_returns_to_the_last_bit_and_goes_on_the_same(limit: str, dtype: torch.dtype):
    made, other = (model({"syn.w": LIMITS[limit]}, dtype) for _ in range(2))
    torch.manual_seed(0)
    with torch.no_grad():
        next(made.parameters()).add_(0.1 * torch.randn(4, dtype=dtype))
    other.load_state_dict(made.state_dict())
    assert torch.equal(other.parameter("syn.w"), made.parameter("syn.w"))
    assert torch.equal(loss(other), loss(made))


def test_a_state_of_another_shape_or_with_other_names_is_refused_by_name():
    made = model(["syn.w"])
    with pytest.raises(RuntimeError, match=r"size mismatch for syn\.w"):
        made.load_state_dict({"syn.w": torch.ones(3)})
    with pytest.raises(RuntimeError, match=r"Missing key.*syn\.w(.|\n)*Unexpected key.*syn\.u"):
        made.load_state_dict({"syn.u": torch.ones(4)})
    with pytest.raises(DomainError, match=r"cells\.tau is -1 at element 0"):
        model(["cells.tau"]).load_state_dict({"cells.tau": -torch.ones(2)})
    assert torch.equal(made.parameter("syn.w"), model(["syn.w"]).parameter("syn.w"))


@pytest.mark.parametrize("limit", LIMITS)
def test_the_gradient_is_by_the_value_in_si_units(limit: str):
    made = model({"syn.w": LIMITS[limit], "cells.tau": mn.Positive()})
    keys = ["syn.w", "cells.tau"]
    assert made.parameter("syn.w").grad is None
    found = torch.autograd.grad(loss(made), [made.parameter(key) for key in keys])
    loss(made).backward()
    for key, gradient in zip(keys, found, strict=True):
        torch.testing.assert_close(made.parameter(key).grad, gradient, rtol=1e-12, atol=0)
        here = made.parameter(key).detach().clone()
        step, sides = 1e-5 * here[1], []
        for sign in (1, -1):
            with torch.no_grad():
                made.parameter(key)[1] = here[1] + sign * step
            sides.append(float(loss(made).detach()))
        with torch.no_grad():
            made.parameter(key).copy_(here)
        assert float(gradient[1]) == pytest.approx(
            (sides[0] - sides[1]) / (2 * float(step)), rel=1e-6
        )


def test_a_second_derivative_is_by_the_value_in_si_units_too():
    made = model({"cells.tau": mn.Positive()})
    tau = made.parameter("cells.tau")
    (first,) = torch.autograd.grad((tau**3).sum(), [tau], create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), [tau])
    torch.testing.assert_close(second, 6 * tau.detach(), rtol=1e-12, atol=0)


def test_a_gradient_can_be_set_and_changed():
    made = model({"cells.tau": mn.Positive(), "syn.w": mn.Free()})
    for key in ("cells.tau", "syn.w"):
        tau = made.parameter(key)
        tau.grad = torch.ones_like(tau)
        torch.testing.assert_close(tau.grad, torch.ones_like(tau).detach(), rtol=1e-15, atol=0)
        tau.grad.mul_(2)
        torch.testing.assert_close(tau.grad[0].item(), 2.0, rtol=1e-15, atol=0)
        kept = tau.grad
        tau.grad = None
        assert tau.grad is None and kept is not None and kept[0] > 1


@pytest.mark.parametrize("foreach", [False, True])
def test_gradients_can_be_clipped_in_si_units(foreach: bool):
    made = model({"cells.tau": mn.Positive(), "syn.w": mn.Free()})
    loss(made).backward()
    seen = [made.parameter(key) for key in ("cells.tau", "syn.w")]
    before = [p.grad.clone() for p in seen]
    norm = torch.nn.utils.clip_grad_norm_(seen, 1.0, foreach=foreach)
    for p, gradient in zip(seen, before, strict=True):
        torch.testing.assert_close(p.grad, gradient / norm, rtol=1e-5, atol=0)


def test_an_optimiser_takes_what_is_of_size_one_and_nothing_else():
    with pytest.raises(ValueError, match="non-leaf"):
        SGD([model(["syn.w"]).parameter("syn.w")], lr=1.0)


# ---- a live tensor

CHANGES = {
    "copy_": lambda p: p.copy_(torch.arange(1.0, 5)),
    "mul_": lambda p: p.mul_(3),
    "add_": lambda p: p.add_(torch.ones(4), alpha=0.5),
    "fill_": lambda p: p.fill_(0.7),
    "clamp_": lambda p: p.clamp_(0.001, 0.002),
    "item": lambda p: p.__setitem__(1, 0.1),
    "mask": lambda p: p.__setitem__(p > 1e-3, 0.1),
    "slice": lambda p: p[1:3].mul_(2),
    "view": lambda p: p.view(-1)[-1:].fill_(0.2),
    "data": lambda p: p.data.div_(7),
    "detached": lambda p: p.detach().sub_(-0.1),
    "operator": lambda p: p.__imul__(1.1),
    "rows": lambda p: [row.mul_(2) for row in p],
    "chunks": lambda p: p.chunk(2)[1].fill_(0.1).add_(0.3),
    "reshaped": lambda p: p.reshape(2, 2).t().mul_(torch.tensor([[1.0, 2], [3, 4]])),
    "out": lambda p: torch.mul(p, 5, out=p),
    "init": lambda p: torch.nn.init.constant_(p, 0.4),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("limit", ["free", "positive"])
@torch.no_grad()
def test_what_changes_it_in_place_changes_the_model_as_it_would_a_tensor(change: str, limit: str):
    made = model({"syn.w": LIMITS[limit]})
    plain = made.parameter("syn.w").clone()
    seen = made.parameter("syn.w")
    CHANGES[change](plain)
    CHANGES[change](made.parameter("syn.w"))
    assert torch.equal(made.parameter("syn.w"), plain)
    assert torch.equal(seen, plain), "one that was taken before shows it too"
    assert torch.equal(made.state_dict()["syn.w"], plain)
    assert not torch.equal(plain, model(["syn.w"]).parameter("syn.w"))


@pytest.mark.parametrize("change", ["copy_", "mul_", "fill_", "item", "operator", "slice"])
def test_it_cannot_be_changed_while_torch_records(change: str):
    made = model(["syn.w"])
    before = made.state_dict()["syn.w"]
    with pytest.raises(GradientError, match=r"_\(...\): .*while torch records"):
        CHANGES[change](made.parameter("syn.w"))
    assert torch.equal(made.parameter("syn.w"), before)


def test_an_operation_gives_a_plain_tensor_with_a_gradient():
    made = model(["syn.w"])
    w = made.parameter("syn.w")
    for found in (w + 1, w.exp(), torch.cat([w, w]), w[[0]], w.clone(), torch.stack([w]).sum()):
        assert type(found) is torch.Tensor
    (w * 2).sum().backward()
    assert w.grad.tolist() == [2, 2, 2, 2]


def test_it_looks_like_any_tensor():
    made = model(["syn.w"], torch.float32)
    w = made.parameter("syn.w")
    assert (w.shape, w.dtype, w.requires_grad, len(w)) == ((4,), torch.float32, True, 4)
    assert repr(w).startswith("tensor([")
    assert w.detach().numpy().dtype == np.float32
    assert len({w, w}) == 1 and w in [w]
    for twin in (deepcopy(w), pickle.loads(pickle.dumps(w.detach()))):
        assert torch.equal(twin, w) and type(twin) is torch.Tensor
    with pytest.raises(ValueError, match="read-only"):
        w.detach().numpy()[0] = 1
    w.requires_grad_(False)
    assert not any(p.requires_grad for p in made.parameters())
    w.requires_grad = True
    assert all(p.requires_grad for p in made.parameters())


def test_what_it_cannot_do_is_said():
    w = model(["syn.w"]).parameter("syn.w")
    with pytest.raises(GradientError, match=r"register_hook\(...\).*named_parameters"):
        w.register_hook(lambda g: g)
    with pytest.raises(GradientError, match=r"grad of a part of a parameter cannot be set"):
        w.data[:2].grad = torch.ones(2)
    with torch.no_grad(), pytest.raises(ShapeError, match=r"syn\.w.*shape \(2, 2\).*shape \(4,\)"):
        w.data = torch.ones(2, 2)
    with pytest.raises(UnknownName, match=r"parameter\('syn.u'\) is not known.*'syn.w'"):
        model(["syn.w"]).parameter("syn.u")


# ---- copies and types


def tensors_of(made: mn.Mirror) -> list[torch.Tensor]:
    return list(made.state_dict().values())


@pytest.mark.parametrize("limit", LIMITS)
def test_a_copy_has_parameters_of_its_own_and_shares_the_network(limit: str):
    made = model({"syn.w": LIMITS[limit], "cells.tau": mn.Positive()})
    found = loss(made)
    twin = deepcopy(made)
    assert twin.network is made.network and twin.program is made.program
    assert torch.equal(loss(twin), found)
    with torch.no_grad():
        twin.parameter("syn.w").mul_(1.1)
        twin.parameter("cells.tau").mul_(1.1)
    assert torch.equal(loss(made), found) and not torch.equal(loss(twin), found)


@pytest.mark.parametrize("limit", LIMITS)
def test_a_file_holds_the_whole_model_but_for_the_network(limit: str):
    made = model({"syn.w": LIMITS[limit], "cells.tau": mn.Positive()})
    with torch.no_grad():
        for raw in made.parameters():
            raw.add_(0.01)
    found, file = loss(made), io.BytesIO()
    torch.save(made, file)
    file.seek(0)
    for twin in (torch.load(file, weights_only=False), pickle.loads(pickle.dumps(made))):
        assert twin.network is None and made.network is not None
        assert torch.equal(loss(twin), found)
        twin.write_back(made.network)
    assert torch.equal(model(["syn.w"]).parameter("syn.w"), mn.mirror(network(), train=["syn.w"],
                       dtype=torch.float64).parameter("syn.w"))  # fmt: skip


@pytest.mark.parametrize("limit", LIMITS)
def test_another_type_keeps_what_it_can_hold(limit: str):
    made = model({"syn.w": LIMITS[limit]}, torch.float32)
    single = made.parameter("syn.w").detach().clone()
    double = made.double().parameter("syn.w")
    assert double.dtype == torch.float64 and torch.equal(double, single.double())
    assert torch.equal(made.to(torch.float32).parameter("syn.w"), single)
    assert loss(made).dtype == torch.float32


def test_conductances_are_limited_in_their_own_unit():
    cells = NeuronGroup(1, "dv/dt = -v*g/(1*nS)/(5*ms) : 1\ng : siemens", method="euler", name="c")
    cells.g = 2 * nS
    made = mn.mirror(Network(cells), train={"c.g": mn.Bounded(0 * nS, 5 * nS)})
    with torch.no_grad():
        next(made.parameters()).fill_(1e9)
    assert made.parameter("c.g").item() == pytest.approx(5e-9)


@pytest.mark.parametrize("limit", [mn.Positive, "positive", None, (1, 2)], ids=repr)
def test_what_is_no_limit_is_refused(limit: Any):
    with pytest.raises(DomainError, match=r"cells\.tau.*that is no limit.*with brackets"):
        model({"cells.tau": limit})


def test_a_bound_is_one_value():
    with pytest.raises(DomainError, match=r"mn\.Bounded\(.*one value for all.*has 2"):
        model({"cells.tau": mn.Bounded([1, 2] * ms, 99 * ms)})


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("limit", [mn.Free(), mn.Positive()], ids=str)
def test_a_value_that_is_not_finite_is_refused_and_changes_nothing(value: float, limit: Limit):
    made = model({"cells.tau": limit})
    before = made.parameter("cells.tau").detach().clone()
    with torch.no_grad(), pytest.raises(DomainError, match=r"cells\.tau.*NaN or infinite"):
        made.parameter("cells.tau").fill_(value)
    with pytest.raises(DomainError, match=r"cells\.tau.*NaN or infinite"):
        made.load_state_dict({"cells.tau": torch.full_like(before, value)})
    assert torch.equal(made.parameter("cells.tau"), before)


@pytest.mark.parametrize("limit", [mn.Free(), mn.Positive()], ids=str)
@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_single_number_is_loaded_in_si_units_from_a_row_of_one_too(
    limit: Limit, shape: tuple[int, ...]
):
    """torch takes both; the second was taken for the optimised value."""
    cells = NeuronGroup(2, "dv/dt = (1 - v)/tau : 1", method="euler", name="cells",
                        namespace={"tau": 20 * ms})  # fmt: skip
    made = mn.mirror(Network(cells), train={"tau": limit}, dtype=torch.float64)
    made.load_state_dict({"tau": torch.full(shape, 0.03, dtype=torch.float64)})
    assert made.parameter("tau").item() == 0.03
