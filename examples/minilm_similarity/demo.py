"""Which sentences say the same: MiniLM, on the simulated chip from the first layer norm on, beside torch."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import numpy as np
import torch
from comparison import Result, cost_table, on_chip, similarity_table
from minilm import LENGTH, MiniLM, load_trained, sentence_vectors
from rich.console import Console
from sentences import CALIBRATION, PAIRS, Pair
from torch import Tensor, nn

import tvm_vsq

TARGETS = (("vsq-accel-w4a8", "4/8/6/10"), ("vsq-accel", "4/4/4/4"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    targets = [target for target, _ in TARGETS]
    parser.add_argument("--targets", nargs="+", choices=targets, default=targets)
    arguments = parser.parse_args()
    console = Console(width=132)
    try:
        with console.status("the network, its weights and its tokenizer, from a package"):
            model = load_trained()
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        left_out = f"LEFT OUT: which sentences say the same, by MiniLM: {reason}"
        console.print(left_out, style="bold red", markup=False, highlight=False, soft_wrap=True)
        return
    show(model, PAIRS, CALIBRATION, [run for run in TARGETS if run[0] in arguments.targets], console)


def show(
    model: MiniLM,
    pairs: Sequence[Pair],
    calibration: Sequence[str],
    runs: Sequence[tuple[str, str]],
    console: Console,
) -> list[Result]:
    """Score the pairs in torch and on each target; print both, how they differ, and what a pair costs."""
    tokens = model.tokens([sentence for pair in pairs for sentence in (pair.first, pair.second)])
    others = model.tokens(calibration)
    with torch.no_grad():
        hidden, *_ = model.encoder(**tokens, return_dict=False)
    fp32 = sentence_vectors(hidden, tokens["attention_mask"])
    results = [run(model.encoder, tokens, others, target, quant, console) for target, quant in runs]
    console.print(similarity_table(pairs, fp32, results))
    console.print(
        f"padded to {LENGTH} tokens and masked; calibrated on {len(calibration)} other sentences; what the "
        f"chip makes of the {2 * len(pairs)} sentences is bit for bit what torch makes of the same integers "
        "(fake_quantize)",
        highlight=False,
    )
    console.print(cost_table(fp32, results))
    for result in results:
        console.print(on_chip(result), markup=False, highlight=False)
    console.print(
        "on the CPU: the embeddings' sum in front, the attention mask, and the mean over a sentence's "
        "tokens; nothing between that sum and the last layer norm (strict=True)",
        highlight=False,
    )
    return results


def run(
    encoder: nn.Module,
    tokens: dict[str, Tensor],
    calibration: dict[str, Tensor],
    target: str,
    quant: str,
    console: Console,
) -> Result:
    """Fit, compile for a pair at a time, run all pairs on the simulator, and compare each with torch."""
    begin = time.perf_counter()
    parts = zip(*(value.split(2) for value in tokens.values()), strict=True)
    pairs = [dict(zip(tokens, part, strict=True)) for part in parts]
    with console.status(f"{quant}: fit and quantize"):
        network = tvm_vsq.fake_quantize(
            encoder, quant=quant, target=target, example_inputs=pairs[0], calibration=calibration
        )
    fitted = time.perf_counter()
    with console.status(f"{quant}: compile"):
        exe = tvm_vsq.compile(network, target, strict=True)
    compiled = time.perf_counter()
    with console.status(f"{quant}: pairs on the simulator"):
        hidden, *_ = exe.run_batch(**tokens)
    simulated = time.perf_counter()
    with console.status(f"{quant}: the same integers in torch"), torch.no_grad():
        expected = torch.cat([network(**pair)[0] for pair in pairs])
    if not np.array_equal(hidden.numpy(), expected.numpy()):
        raise SystemExit("the simulator and torch differ: please report this")
    compared = time.perf_counter()
    console.print(
        f"{quant}: fitted in {fitted - begin:.0f} s, compiled in {compiled - fitted:.0f} s, "
        f"{len(pairs)} pairs simulated in {simulated - compiled:.1f} s, the same in torch in "
        f"{compared - simulated:.0f} s",
        highlight=False,
    )
    vectors = sentence_vectors(hidden, tokens["attention_mask"])
    return Result(quant, vectors, exe.timing(), exe.explain().layers)


if __name__ == "__main__":
    main()
