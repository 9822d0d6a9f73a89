"""Many inferences at once, timing without any, and modules that are not verified."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
import tvm
from tests.seeds import one_of
from torch import nn

import tvm_vsq
from tvm_vsq.errors import InputError


class Two(nn.Module):
    """Two inputs of different batch sizes, two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(16, 8)

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.fc(a) + b, self.fc(a).relu()


@pytest.fixture(scope="module")
def net(networks):
    model, x = networks.build(networks.ResNet)
    exe = tvm_vsq.compile(model, example_inputs=(x,), calibration=networks.samples(networks.ResNet))
    return exe, networks.samples(networks.ResNet)


@pytest.mark.parametrize("threads", [None, 1, 5])
def test_a_batch_gives_what_its_samples_give_one_by_one(net, threads):
    exe, samples = net
    many = np.concatenate([samples, samples[::-1]]).astype(np.float32)
    alone = np.concatenate([exe(many[i : i + 2]) for i in range(0, len(many), 2)])
    assert len({row.tobytes() for row in alone}) > 2
    assert np.array_equal(exe.run_batch(many, threads=threads), alone)
    assert np.array_equal(exe.run_batch(torch.from_numpy(many), threads=threads).numpy(), alone)


def test_inputs_are_cut_by_their_own_batch_size():
    torch.manual_seed(0)
    a, b = torch.randn(2, 16), torch.randn(1, 8)
    calibration = [(torch.randn(2, 16), torch.randn(1, 8)) for _ in range(16)]
    exe = tvm_vsq.compile(Two().eval(), example_inputs=(a, b), calibration=calibration)
    many_a, many_b = torch.randn(6, 16), torch.randn(3, 8)
    together = exe.run_batch(many_a, many_b)
    for i in range(3):
        alone = exe(many_a[2 * i : 2 * i + 2], many_b[i : i + 1])
        assert all(torch.equal(t[2 * i : 2 * i + 2], o) for t, o in zip(together, alone, strict=True))
    with pytest.raises(InputError, match=r"different numbers of inferences: \{'a': 3, 'b': 2\}"):
        exe.run_batch(many_a, many_b[:2])
    with pytest.raises(InputError, match=r"'a' has shape \(5, 16\); .* a multiple of that of \(2, 16\)"):
        exe.run_batch(many_a[:5], many_b)
    with pytest.raises(InputError, match="takes 2 input"):
        exe.run_batch(many_a)


def test_a_bad_sample_of_a_batch_is_an_error(net):
    exe, samples = net
    many = np.array(samples, np.float32)
    many[1, 0, 0, 0] = np.nan
    with pytest.raises(InputError, match=r"inference 0 of the batch: .* NaN"):
        exe.run_batch(many)
    for threads in (0, 2.5, True):
        with pytest.raises(InputError, match=f"threads={threads}"):
            exe.run_batch(np.array(samples, np.float32), threads=threads)
    with pytest.raises(InputError, match=r"'x' must be a torch.Tensor or numpy.ndarray, not list"):
        exe.run_batch(list(samples))
    with pytest.raises(InputError, match="must have shape"):
        exe.run_batch(many[:, :, :4])


class Summed(nn.Module):
    """An output without the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(16, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x).sum(0)


def test_outputs_that_cannot_be_joined_are_refused():
    x = torch.randn(2, 16)
    exe = tvm_vsq.compile(Summed().eval(), example_inputs=(x,), calibration=torch.randn(16, 16))
    with pytest.raises(InputError, match=r"output 0 has shape \(8,\), .* the batch of input 'x', 2"):
        exe.run_batch(torch.randn(4, 16))


def test_a_profile_is_of_one_inference_whatever_else_runs(net):
    exe, samples = net
    expected, done = exe.timing(), threading.Event()

    def work():
        while not done.is_set():
            exe(samples[:2])

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert all(exe.profile(samples[:2]) == expected for _ in range(30))
    finally:
        done.set()
        thread.join()


def test_calls_from_several_threads_do_not_disturb_each_other(net):
    exe, samples = net
    pairs = [samples[i : i + 2] for i in range(0, len(samples), 2)]
    expected = [exe(pair) for pair in pairs]
    wrong = []

    def work(number):
        for _ in range(5):
            if not np.array_equal(exe(pairs[number]), expected[number]):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(i % len(pairs),)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_timing_is_the_profile_of_a_run(net):
    exe, samples = net
    ran, timed = exe.profile(samples[:2]), exe.timing()
    assert timed.outputs is None
    assert ran == timed
    assert timed.why() == ran.why()


@pytest.mark.large
def test_what_is_not_verified_computes_the_same(net, networks, tmp_path):
    exe, samples = net
    model, x = networks.build(networks.ResNet)
    unchecked = tvm_vsq.compile(
        model, example_inputs=(x,), calibration=networks.samples(networks.ResNet), verify=False
    )
    assert np.array_equal(unchecked(samples[:2]), exe(samples[:2]))
    exe.save(tmp_path / "net.so")
    for verify in (True, False):
        assert np.array_equal(tvm_vsq.load(tmp_path / "net.so", verify=verify)(samples[:2]), exe(samples[:2]))


@pytest.mark.parametrize("name", one_of(["DepthwiseNet", "ClippedNet", "Mlp"]))
def test_an_inference_runs_every_program_once_in_the_order_of_its_timing(networks, name):
    network = getattr(networks, name)
    model, x = networks.build(network)
    exe = tvm_vsq.compile(model, example_inputs=(x,), calibration=networks.samples(network))
    programs = [str(run["name"]) for run in exe._accelerator["get_timing"]()]
    vm, called = tvm.relax.VirtualMachine(exe._module, tvm.cpu()), []

    def note(_function, called_name, before, _result, *_args):
        if before and called_name in programs:
            called.append(called_name)
        return 0

    vm.set_instrument(note)
    vm["main"](tvm.runtime.tensor(x.numpy()))
    assert called == programs
