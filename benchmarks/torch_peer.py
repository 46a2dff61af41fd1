"""The same method in eager PyTorch, as a straightforward and careful user would write it.

Same network, transforms (on whole batches), losses and optimiser as `keras_gssl` with three tasks and the frozen gate.
"""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import nn
from torch.nn import functional

MEAN = torch.tensor([0.4914, 0.4822, 0.4465]).view(1, 3, 1, 1)
STD = torch.tensor([0.2023, 0.1994, 0.2010]).view(1, 3, 1, 1)
ORDERS = torch.tensor(list(itertools.permutations(range(3))))
SCALE = 30.0


class Block(nn.Module):
    def __init__(self, before: int, filters: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(before, filters, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(filters)
        self.stride, self.added = stride, filters - before

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        if self.stride > 1:
            x = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.added // 2, self.added - self.added // 2))
        return functional.relu(y + x)


class CosineHead(nn.Module):
    def __init__(self, units: int):
        super().__init__()
        self.weight = nn.Parameter(functional.normalize(torch.rand(64, units) * 2 - 1, dim=0))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return functional.normalize(features, dim=1) @ functional.normalize(self.weight, dim=0)


class Network(nn.Module):
    """ResNet-32 with a class head, three pretext heads and the frozen gate."""

    def __init__(self, num_classes: int = 10):
        super().__init__()
        widths = [16] * 6 + [32] * 5 + [64] * 5
        self.stem = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.blocks = nn.Sequential(
            *(Block(before, after, 2 if after > before else 1) for before, after in itertools.pairwise(widths))
        )
        self.heads = nn.ModuleList([CosineHead(units) for units in (num_classes, 16, 2, 6)])
        self.gate = nn.Linear(64, 3)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.norm(self.stem(images)))
        return self.blocks(x).mean((2, 3)).float()


def augment(pixels: torch.Tensor) -> torch.Tensor:
    """Random crop, mirror and normalisation of uint8 images `(batch, 3, 32, 32)`."""
    batch, device = len(pixels), pixels.device
    padded = functional.pad(pixels, (4, 4, 4, 4))
    rows = torch.randint(0, 9, (batch, 1), device=device) + torch.arange(32, device=device)
    columns = torch.randint(0, 9, (batch, 1), device=device) + torch.arange(32, device=device)
    columns = torch.where(torch.rand(batch, 1, device=device) < 0.5, columns.flip(1), columns)
    each = torch.arange(batch, device=device)[:, None, None, None]
    cropped = padded[
        each, torch.arange(3, device=device)[None, :, None, None], rows[:, None, :, None], columns[:, None, None]
    ]
    return (cropped.float() / 255 - MEAN.to(device)) / STD.to(device)


def alter_quadrants(images: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Flip, rotate and permute the channels of one quadrant of every image; the altered images and the labels."""
    batch, device = len(images), images.device
    quadrant, flip, turns, order = (torch.randint(0, n, (batch,), device=device) for n in (4, 2, 4, 6))
    parts = images.view(batch, 3, 2, 16, 2, 16).permute(0, 2, 4, 1, 3, 5).reshape(batch, 4, 3, 16, 16).clone()
    each = torch.arange(batch, device=device)
    patch = parts[each, quadrant]

    def where(condition: torch.Tensor, changed: torch.Tensor) -> torch.Tensor:
        return torch.where(condition[:, None, None, None], changed, patch)

    patch = where(flip == 1, patch.flip(2))
    patch = where(turns % 2 == 1, patch.transpose(2, 3))
    patch = where((turns == 1) | (turns == 2), patch.flip(2))
    patch = where(turns >= 2, patch.flip(3))
    patch = patch[each[:, None], ORDERS.to(device)[order]]
    parts[each, quadrant] = patch
    altered = parts.view(batch, 2, 2, 3, 16, 16).permute(0, 3, 1, 4, 2, 5).reshape(images.shape)
    return altered, [4 * quadrant + turns, flip, order]


class Trainer:
    """Trains on uint8 images held in memory.

    Args:
        images: uint8, shape `(count, 32, 32, 3)`.
        labels: Shape `(count,)`.
        device: `"cpu"` or `"cuda"`.
        bfloat16: Automatic mixed precision in bfloat16.
        channels_last: Memory format of network and images.
        compiled: Whether the network goes through `torch.compile`.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        device: str,
        bfloat16: bool,
        channels_last: bool,
        batch: int = 128,
        compiled: bool = False,
    ):
        self.device, self.bfloat16, self.batch = device, bfloat16, batch
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        self.images = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).to(device)
        self.labels = torch.from_numpy(labels).to(device)
        self.network = Network().to(device).to(memory_format=self.format)
        self.features = torch.compile(self.network.features) if compiled else self.network.features
        trained = [weight for name, weight in self.network.named_parameters() if not name.startswith("gate")]
        self.optimizer = torch.optim.SGD(trained, 0.1, momentum=0.9, weight_decay=2e-4)
        counts = torch.bincount(self.labels, minlength=10).float()
        margins = counts.clamp(min=1) ** -0.25
        self.margins = 0.5 * margins / margins.max()
        self.class_weights = torch.ones(10, device=device)

    def step(self, indices: torch.Tensor) -> torch.Tensor:
        images, pretext_labels = alter_quadrants(augment(self.images[indices]))
        labels = self.labels[indices]
        with torch.autocast(self.device, torch.bfloat16, enabled=self.bfloat16):
            features = self.features(images.contiguous(memory_format=self.format))
        cosines, *pretext = (head(features) for head in self.network.heads)
        shifted = cosines - functional.one_hot(labels, 10) * self.margins
        loss = functional.cross_entropy(SCALE * shifted, labels, self.class_weights)
        losses = torch.stack([functional.cross_entropy(o, t) for o, t in zip(pretext, pretext_labels, strict=True)])
        with torch.no_grad():
            gate = torch.softmax(self.network.gate(features).mean(0), 0)
        loss = loss + 0.1 * (gate * losses).sum()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss

    def epoch(self) -> None:
        self.network.train()
        order = torch.randperm(len(self.images), device=self.device)
        total = torch.zeros((), device=self.device)
        for indices in order.split(self.batch):
            total += self.step(indices).detach()
        float(total)  # waits for the device

    @torch.inference_mode()
    def evaluate(self, images: np.ndarray, labels: np.ndarray) -> float:
        self.network.eval()
        hits = 0
        for start in range(0, len(images), 500):
            pixels = torch.from_numpy(images[start : start + 500].transpose(0, 3, 1, 2).copy()).to(self.device)
            normalised = (pixels.float() / 255 - MEAN.to(self.device)) / STD.to(self.device)
            with torch.autocast(self.device, torch.bfloat16, enabled=self.bfloat16):
                features = self.network.features(normalised.contiguous(memory_format=self.format))
            predicted = self.network.heads[0](features).argmax(1)
            hits += int((predicted.cpu() == torch.from_numpy(labels[start : start + 500])).sum())
        return hits / len(images)
