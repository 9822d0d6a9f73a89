"""Topologies of convolutional networks, with seeded random weights: accuracy would mean nothing."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    padding = kernel // 2
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    )


class Residual(nn.Module):
    """Convolutions beside a shortcut (He et al., CVPR 2016, figure 5; stride on the first 3x3 one)."""

    def __init__(self, inputs: int, width: int, stride: int, is_bottleneck: bool) -> None:
        super().__init__()
        outputs = 4 * width if is_bottleneck else width
        kernels = (1, 3, 1) if is_bottleneck else (3, 3)
        widths = (inputs, *[width] * (len(kernels) - 1), outputs)
        first = kernels.index(3)
        layers: list[nn.Module] = []
        for number, kernel in enumerate(kernels):
            strided = stride if number == first else 1
            layers += [_conv(widths[number], widths[number + 1], kernel, strided), nn.ReLU()]
        self.body = nn.Sequential(*layers[:-1])
        is_same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if is_same else _conv(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet(counts: tuple[int, int, int, int], is_bottleneck: bool) -> nn.Module:
    """He et al., CVPR 2016, table 1: so many blocks of each width."""
    layers: list[nn.Module] = [_conv(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1)]
    inputs = 64
    for number, count in enumerate(counts):
        width = 64 << number
        for block in range(count):
            stride = 2 if number > 0 and block == 0 else 1
            layers.append(Residual(inputs, width, stride, is_bottleneck))
            inputs = 4 * width if is_bottleneck else width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 1000))


class InvertedResidual(nn.Module):
    """Expand, depthwise, project (Sandler et al., "MobileNetV2", CVPR 2018, table 1)."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = inputs * expansion
        layers: list[nn.Module] = [_conv(inputs, width, 1), nn.ReLU6()] if expansion != 1 else []
        layers += [_conv(width, width, 3, stride, groups=width), nn.ReLU6(), _conv(width, outputs, 1)]
        self.body = nn.Sequential(*layers)
        self.is_added = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        return x + y if self.is_added else y


def mobilenet_v2() -> nn.Module:
    """Sandler et al., CVPR 2018, table 2: expansion, channels, blocks, stride of the first."""
    layers: list[nn.Module] = [_conv(3, 32, 3, 2), nn.ReLU6()]
    inputs = 32
    for expansion, channels, count, stride in (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ):
        for block in range(count):
            layers.append(InvertedResidual(inputs, channels, stride if block == 0 else 1, expansion))
            inputs = channels
    layers += [_conv(inputs, 1280, 1), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(1280, 1000))


def vgg19() -> nn.Module:
    """Simonyan and Zisserman, ICLR 2015, table 1, column E."""
    layers: list[nn.Module] = []
    inputs = 3
    for count, width in ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512)):
        for _ in range(count):
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
            inputs = width
        layers.append(nn.MaxPool2d(2))
    head = [nn.Linear(512 * 7 * 7, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 1000)]
    return nn.Sequential(*layers, nn.Flatten(), *head)


class Fire(nn.Module):
    """Squeeze, then expand by 1x1 and 3x3 (Iandola et al., "SqueezeNet", arXiv 1602.07360, figure 1)."""

    def __init__(self, inputs: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.expand1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.squeeze(x))
        return torch.cat([torch.relu(self.expand1(y)), torch.relu(self.expand3(y))], 1)


def squeezenet() -> nn.Module:
    """SqueezeNet 1.1 (github.com/forresti/SqueezeNet): pools in front of fires 2, 4 and 6."""
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, 2), nn.ReLU()]
    inputs = 64
    for squeezed, expanded, is_pooled in (
        (16, 64, True),
        (16, 64, False),
        (32, 128, True),
        (32, 128, False),
        (48, 192, True),
        (48, 192, False),
        (64, 256, False),
        (64, 256, False),
    ):
        layers += [nn.MaxPool2d(3, 2, ceil_mode=True)] if is_pooled else []
        layers.append(Fire(inputs, squeezed, expanded))
        inputs = 2 * expanded
    return nn.Sequential(*layers, nn.Conv2d(512, 1000, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


class DenseLayer(nn.Module):
    """What all layers before gave, normalized, through 1x1 and 3x3 (Huang et al., CVPR 2017, section 3)."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.ReLU(),
            _conv(inputs, 4 * growth, 1),
            nn.ReLU(),
            nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.body(x)], 1)


def densenet121() -> nn.Module:
    """Huang et al., CVPR 2017, table 1: growth 32, compression by a half."""
    layers: list[nn.Module] = [_conv(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1)]
    channels = 64
    for number, count in enumerate((6, 12, 24, 16)):
        for _ in range(count):
            layers.append(DenseLayer(channels, 32))
            channels += 32
        layers += [nn.BatchNorm2d(channels), nn.ReLU()]
        if number < 3:
            layers += [nn.Conv2d(channels, channels // 2, 1, bias=False), nn.AvgPool2d(2)]
            channels //= 2
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1000))


def _shuffled(x: Tensor, groups: int = 2) -> Tensor:
    count, channels, rows, columns = x.shape
    apart = x.view(count, groups, channels // groups, rows, columns)
    return apart.transpose(1, 2).contiguous().view(count, channels, rows, columns)


class ShuffleUnit(nn.Module):
    """Half of the channels, or with a stride all of them twice (Ma et al., "ShuffleNet V2", ECCV 2018,
    figure 3)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        width = outputs // 2
        self.is_strided = stride > 1
        self.body = nn.Sequential(
            _conv(inputs if self.is_strided else width, width, 1),
            nn.ReLU(),
            _conv(width, width, 3, stride, groups=width),
            _conv(width, width, 1),
            nn.ReLU(),
        )
        beside = [_conv(inputs, inputs, 3, stride, groups=inputs), _conv(inputs, width, 1), nn.ReLU()]
        self.beside = nn.Sequential(*beside if self.is_strided else [])

    def forward(self, x: Tensor) -> Tensor:
        if self.is_strided:
            return _shuffled(torch.cat([self.beside(x), self.body(x)], 1))
        kept, taken = x.chunk(2, 1)
        return _shuffled(torch.cat([kept, self.body(taken)], 1))


def shufflenet_v2() -> nn.Module:
    """Ma et al., ECCV 2018, table 5, 1x."""
    layers: list[nn.Module] = [_conv(3, 24, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1)]
    inputs = 24
    for width, count in ((116, 4), (232, 8), (464, 4)):
        for block in range(count):
            layers.append(ShuffleUnit(inputs, width, 2 if block == 0 else 1))
            inputs = width
    layers += [_conv(inputs, 1024, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(1024, 1000))


class Branches(nn.Module):
    """What some networks make of one input, side by side."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


def _plain(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2), nn.ReLU()]


def inception_v1() -> nn.Module:
    """Szegedy et al., "Going deeper with convolutions", CVPR 2015, table 1, without auxiliary classifiers."""

    def module(
        inputs: int, one: int, before3: int, three: int, before5: int, five: int, pool: int
    ) -> nn.Module:
        return Branches(
            nn.Sequential(*_plain(inputs, one, 1)),
            nn.Sequential(*_plain(inputs, before3, 1), *_plain(before3, three, 3)),
            nn.Sequential(*_plain(inputs, before5, 1), *_plain(before5, five, 5)),
            nn.Sequential(nn.MaxPool2d(3, 1, 1), *_plain(inputs, pool, 1)),
        )

    half = {"kernel_size": 3, "stride": 2, "ceil_mode": True}
    return nn.Sequential(
        *_plain(3, 64, 7, 2),
        nn.MaxPool2d(**half),
        nn.LocalResponseNorm(5),
        *_plain(64, 64, 1),
        *_plain(64, 192, 3),
        nn.LocalResponseNorm(5),
        nn.MaxPool2d(**half),
        module(192, 64, 96, 128, 16, 32, 32),
        module(256, 128, 128, 192, 32, 96, 64),
        nn.MaxPool2d(**half),
        module(480, 192, 96, 208, 16, 48, 64),
        module(512, 160, 112, 224, 24, 64, 64),
        module(512, 128, 128, 256, 24, 64, 64),
        module(512, 112, 144, 288, 32, 64, 64),
        module(528, 256, 160, 320, 32, 128, 128),
        nn.MaxPool2d(**half),
        module(832, 256, 160, 320, 32, 128, 128),
        module(832, 384, 192, 384, 48, 128, 128),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(1024, 1000),
    )


def _normalized(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    return [_conv(inputs, outputs, kernel, stride), nn.ReLU()]


def inception_v2() -> nn.Module:
    """BN-Inception: Ioffe and Szegedy, ICML 2015, figure 5, with the widths of its Caffe model (128 channels
    behind the pool of 4c)."""

    def module(
        inputs: int, one: int, three: tuple[int, int], double: tuple[int, int], pool: int
    ) -> nn.Module:
        stride = 1 if one else 2  # where there is no 1x1 branch, the image is halved
        branches = [nn.Sequential(*_normalized(inputs, one, 1))] if one else []
        branches += [
            nn.Sequential(*_normalized(inputs, three[0], 1), *_normalized(*three, 3, stride)),
            nn.Sequential(
                *_normalized(inputs, double[0], 1),
                *_normalized(*double, 3),
                *_normalized(double[1], double[1], 3, stride),
            ),
        ]
        if not one:
            pooled: list[nn.Module] = [nn.MaxPool2d(3, 2, ceil_mode=True)]
        elif inputs == 1024:
            pooled = [nn.MaxPool2d(3, 1, 1), *_normalized(inputs, pool, 1)]
        else:
            pooled = [nn.AvgPool2d(3, 1, 1), *_normalized(inputs, pool, 1)]
        return Branches(*branches, nn.Sequential(*pooled))

    return nn.Sequential(
        *_normalized(3, 64, 7, 2),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        *_normalized(64, 64, 1),
        *_normalized(64, 192, 3),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        module(192, 64, (64, 64), (64, 96), 32),
        module(256, 64, (64, 96), (64, 96), 64),
        module(320, 0, (128, 160), (64, 96), 0),
        module(576, 224, (64, 96), (96, 128), 128),
        module(576, 192, (96, 128), (96, 128), 128),
        module(576, 160, (128, 160), (128, 160), 128),
        module(608, 96, (128, 192), (160, 192), 128),
        module(608, 0, (128, 192), (192, 256), 0),
        module(1056, 352, (192, 320), (160, 224), 128),
        module(1024, 352, (192, 320), (192, 224), 128),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(1024, 1000),
    )


def alexnet() -> nn.Module:
    """Krizhevsky et al., NIPS 2012, figure 2 and section 3.3: two groups, for two GPUs; alpha is of a sum."""
    layers: list[nn.Module] = []
    for inputs, outputs, kernel, stride, padding, groups, is_normalized, is_pooled in (
        (3, 96, 11, 4, 2, 1, True, True),
        (96, 256, 5, 1, 2, 2, True, True),
        (256, 384, 3, 1, 1, 1, False, False),
        (384, 384, 3, 1, 1, 2, False, False),
        (384, 256, 3, 1, 1, 2, False, True),
    ):
        layers += [nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups), nn.ReLU()]
        layers += [nn.LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2.0)] if is_normalized else []
        layers += [nn.MaxPool2d(3, 2)] if is_pooled else []
    head = [nn.Linear(256 * 6 * 6, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 1000)]
    return nn.Sequential(*layers, nn.Flatten(), *head)


def dcgan() -> nn.Module:
    """The generator of Radford et al., ICLR 2016, for images of 64x64, as PyTorch's example has it."""
    widths = (100, 512, 256, 128, 64)
    layers: list[nn.Module] = []
    for number, (inputs, outputs) in enumerate(pairwise(widths)):
        stride, padding = (1, 0) if number == 0 else (2, 1)
        layers += [
            nn.ConvTranspose2d(inputs, outputs, 4, stride, padding, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers, nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False), nn.Tanh())


def _leaky(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(_conv(inputs, outputs, kernel), nn.LeakyReLU(0.1))


class Detector(nn.Module):
    """YOLOv3-tiny (Redmon and Farhadi, arXiv 1804.02767; yolov3-tiny.cfg): two maps of boxes."""

    def __init__(self) -> None:
        super().__init__()
        fine: list[nn.Module] = []
        inputs = 3
        for outputs in (16, 32, 64, 128):
            fine += [_leaky(inputs, outputs, 3), nn.MaxPool2d(2)]
            inputs = outputs
        self.fine = nn.Sequential(*fine, _leaky(128, 256, 3))
        self.coarse = nn.Sequential(
            nn.MaxPool2d(2),
            _leaky(256, 512, 3),
            nn.ReplicationPad2d((0, 1, 0, 1)),  # a pixel beyond the image never is the largest
            nn.MaxPool2d(2, 1),
            _leaky(512, 1024, 3),
            _leaky(1024, 256, 1),
        )
        self.first = nn.Sequential(_leaky(256, 512, 3), nn.Conv2d(512, 255, 1))
        self.up = nn.Sequential(_leaky(256, 128, 1), nn.Upsample(scale_factor=2))
        self.second = nn.Sequential(_leaky(384, 256, 3), nn.Conv2d(256, 255, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        fine = self.fine(x)
        coarse = self.coarse(fine)
        return self.first(coarse), self.second(torch.cat([self.up(coarse), fine], 1))


class SqueezeExcite(nn.Module):
    """Each channel by what the means of all say (Hu et al., CVPR 2018; the sigmoid of MobileNet v3)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce, self.expand = (
            nn.Conv2d(channels, channels // 4, 1),
            nn.Conv2d(channels // 4, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean((2, 3), keepdim=True)
        return x * nn.functional.hardsigmoid(self.expand(torch.relu(self.reduce(means))))


class Recognizer(nn.Module):
    """A line of text: columns of an image as a sequence (Shi et al., CRNN, TPAMI 2017), of depthwise blocks
    with squeeze-excite (Howard et al., MobileNet v3, ICCV 2019), then linear layers for its recurrent ones.
    """

    def __init__(self, classes: int = 97) -> None:
        super().__init__()
        layers: list[nn.Module] = [_conv(3, 16, 3, 2), nn.Hardswish()]
        inputs = 16
        for outputs, kernel, stride in (
            (32, 3, (1, 1)),
            (64, 3, (2, 1)),
            (64, 3, (1, 1)),
            (128, 3, (2, 1)),
            (128, 5, (1, 1)),
            (256, 5, (2, 1)),
        ):
            depthwise = nn.Conv2d(inputs, inputs, kernel, stride, kernel // 2, groups=inputs, bias=False)
            layers += [depthwise, nn.BatchNorm2d(inputs), nn.Hardswish(), SqueezeExcite(inputs)]
            layers += [_conv(inputs, outputs, 1), nn.Hardswish()]
            inputs = outputs
        self.body = nn.Sequential(*layers, nn.MaxPool2d((2, 2)))
        self.hidden, self.classes = nn.Linear(256, 128), nn.Linear(128, classes)

    def forward(self, x: Tensor) -> Tensor:
        images = self.body(x)
        count, channels, rows, columns = images.shape
        sequence = images.reshape(count, channels * rows, columns).permute(0, 2, 1)
        return self.classes(nn.functional.hardswish(self.hidden(sequence)))


def m5() -> nn.Module:
    """Sounds from their samples (Dai et al., "Very deep convolutional neural networks for raw waveforms",
    ICASSP 2017, table 1: M5).
    """
    layers: list[nn.Module] = []
    inputs = 1
    for outputs, kernel, stride in ((128, 80, 4), (128, 3, 1), (256, 3, 1), (512, 3, 1)):
        convolution = nn.Conv1d(inputs, outputs, kernel, stride, kernel // 2 if kernel == 3 else 38)
        layers += [convolution, nn.BatchNorm1d(outputs), nn.ReLU(), nn.MaxPool1d(4)]
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(inputs, 10))


TOPOLOGIES: dict[str, Callable[[], nn.Module]] = {
    "ResNet-18": lambda: resnet((2, 2, 2, 2), False),
    "ResNet-34": lambda: resnet((3, 4, 6, 3), False),
    "ResNet-50": lambda: resnet((3, 4, 6, 3), True),
    "MobileNet v2": mobilenet_v2,
    "ResNet-101": lambda: resnet((3, 4, 23, 3), True),
    "ResNet-152": lambda: resnet((3, 8, 36, 3), True),
    "VGG-19": vgg19,
    "SqueezeNet 1.1": squeezenet,
    "DenseNet-121": densenet121,
    "ShuffleNet v2": shufflenet_v2,
    "Inception v1": inception_v1,
    "Inception v2": inception_v2,
    "AlexNet": alexnet,
    "DCGAN": dcgan,
    "YOLOv3-tiny": Detector,
    "text recognizer": Recognizer,
    "M5": m5,
}

SHAPES: dict[str, tuple[int, ...]] = {"DCGAN": (100, 1, 1), "text recognizer": (3, 32, 128), "M5": (1, 32000)}
"""Channels, rows and columns of what others take than photos; channels and samples of sounds."""


def input_shape(name: str) -> tuple[int, ...]:
    """Channels, then rows and columns of an image or the length of a sequence."""
    return SHAPES.get(name, (3, 224, 224))


def build(name: str) -> nn.Module:
    """The network `name` in inference mode; batch norms keep the size of what passes through them."""
    torch.manual_seed(0)
    model = TOPOLOGIES[name]()
    for module in model.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if isinstance(module, nn.ConvTranspose2d):  # of its taps, a result gets one for each stride
            taps = module.kernel_size[0] * module.kernel_size[1] / (module.stride[0] * module.stride[1])
            nn.init.normal_(module.weight, std=(2 / (module.in_channels * taps)) ** 0.5)
        if isinstance(module, ShuffleUnit):
            for layer in module.modules():
                if isinstance(layer, nn.BatchNorm2d):
                    nn.init.constant_(layer.weight, 0.7)  # no ReLU behind its depthwise layers takes a half
        if isinstance(module, Residual | InvertedResidual):
            last = [each for each in module.body.modules() if isinstance(each, nn.BatchNorm2d)][-1]
            nn.init.constant_(last.weight, 0.5)  # sums of many blocks do not grow without end
    return model.eval()
