"""Train ResNet-8 on 4,000 MNIST digits and write resnet8_mnist.pt; about two minutes on one core.

    python examples/resnet8_mnist/train.py

Prints the loss of each epoch and the accuracy on the 1,000 held-out digits, which training never sees. The
same machine and torch version give the same weights again; others differ in the last bits.
"""

from __future__ import annotations

import argparse
import math
import time

import torch
from data import load_digits
from model import CHECKPOINT, ResNet8
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample

BATCH = 50
PEAK_LEARNING_RATE = 0.01


def augment(images: Tensor) -> Tensor:
    """Shift by up to 2 pixels, turn by up to 12 degrees, scale by up to 10 %; float32 [N, 1, 28, 28]."""
    count = len(images)
    draw = torch.rand(4, count) * 2 - 1
    angle = draw[0] * math.radians(12)
    scale = 1 + draw[1] * 0.1
    shift = draw[2:] * (2 * 2 / 28)  # the image spans -1..1
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    transform = torch.stack([cosine, -sine, shift[0], sine, cosine, shift[1]], dim=1).reshape(count, 2, 3)
    grid = affine_grid(transform, list(images.shape), align_corners=False)
    return grid_sample(images, grid, align_corners=False)


def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Fraction of the labels that the highest score names."""
    model.eval()
    with torch.no_grad():
        right = sum(
            int((model(x).argmax(1) == y).sum())
            for x, y in zip(images.split(250), labels.split(250), strict=True)
        )
    return right / len(labels)


def train(epochs: int, seed: int) -> nn.Module:
    """Adam with a one-cycle learning rate and label smoothing, from seeded weights and batches."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    digits = load_digits()
    images, labels = torch.from_numpy(digits.train_images), torch.from_numpy(digits.train_labels)
    test_images, test_labels = torch.from_numpy(digits.test_images), torch.from_numpy(digits.test_labels)
    model = ResNet8()
    parameters = sum(p.numel() for p in model.parameters())
    print(
        f"{parameters:,} parameters, {len(images):,} digits to train on, {len(test_images):,} held out",
        flush=True,
    )
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-3)
    steps = epochs * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_LEARNING_RATE, total_steps=steps)
    objective = nn.CrossEntropyLoss(label_smoothing=0.05)
    begin = time.perf_counter()
    for epoch in range(1, epochs + 1):
        model.train()
        total = 0.0
        for batch in torch.randperm(len(images)).split(BATCH):
            optimizer.zero_grad()
            loss = objective(model(augment(images[batch])), labels[batch])
            loss.backward()
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(batch)
        print(
            f"epoch {epoch:2d}  loss {total / len(images):.4f}  {time.perf_counter() - begin:.0f} s",
            flush=True,
        )
    print(f"held-out accuracy: {accuracy(model, test_images, test_labels):.2%}")
    return model


def main() -> None:
    """Train and save the parameters and batch-norm statistics, float32."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    model = train(arguments.epochs, arguments.seed)
    torch.save(model.state_dict(), CHECKPOINT)
    print(f"wrote {CHECKPOINT} ({CHECKPOINT.stat().st_size / 1024:.0f} KiB)")


if __name__ == "__main__":
    main()
