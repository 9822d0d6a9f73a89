"""The work of operators on the CPU equals a count by hand."""

from __future__ import annotations

import pytest
from tvm import relax

from tvm_vsq.graph import bindings
from tvm_vsq.transform.work import Work, work_of

op = relax.op


def tensor(*shape, dtype="float32"):
    return relax.Var("x", relax.TensorType(list(shape), dtype))


def work(operator, *operands):
    """Of the last operator that `operator` builds from the operands."""
    builder = relax.BlockBuilder()
    with builder.function("main", list(operands)):
        with builder.dataflow():
            result = builder.emit_output(operator(*operands))
        builder.emit_func_output(result)
    last = list(bindings(builder.get()["main"]))[-1]
    return work_of(last.value, last.var)


def convolution(kind, layouts, **options):
    data, kernel = layouts
    return lambda x, w: getattr(op.nn, kind)(x, w, data_layout=data, kernel_layout=kernel, **options)


CASES = {
    # 5 x 6 results of 8 channels, 3 x 3 taps of 8 channels
    "conv2d": (
        convolution("conv2d", ("NHWC", "OHWI"), padding=1),
        [(1, 5, 6, 8), (8, 3, 3, 8)],
        Work(5 * 6 * 8 * 9 * 8, 0, 4 * (240 + 576 + 240)),
    ),
    "depthwise": (
        convolution("conv2d", ("NHWC", "OHWI"), padding=1, groups=8),
        [(1, 5, 6, 8), (8, 3, 3, 1)],
        Work(5 * 6 * 8 * 9, 0, 4 * (240 + 72 + 240)),
    ),
    "two groups, stride 2": (
        convolution("conv2d", ("NCHW", "OIHW"), strides=2, groups=2),
        [(2, 8, 5, 7), (6, 4, 3, 3)],
        Work(2 * 6 * 2 * 3 * 4 * 9, 0, 4 * (560 + 216 + 72)),
    ),
    "conv1d": (
        convolution("conv1d", ("NCW", "OIW")),
        [(1, 4, 10), (5, 4, 3)],
        Work(8 * 5 * 4 * 3, 0, 4 * (40 + 60 + 40)),
    ),
    "conv3d": (
        convolution("conv3d", ("NCDHW", "OIDHW")),
        [(1, 2, 4, 4, 4), (3, 2, 2, 2, 2)],
        Work(27 * 3 * 2 * 8, 0, 4 * (128 + 48 + 81)),
    ),
    # 4 x 4 pixels of 6 channels, each times 3 x 3 x 5 weights
    "transposed": (
        convolution("conv2d_transpose", ("NCHW", "IOHW"), strides=2),
        [(1, 6, 4, 4), (6, 5, 3, 3)],
        Work(16 * 6 * 5 * 9, 0, 4 * (96 + 270 + 405)),
    ),
    "product of two activations": (
        op.matmul,
        [(2, 3, 5, 7), (2, 3, 7, 4)],
        Work(2 * 3 * 5 * 4 * 7, 0, 4 * (210 + 168 + 120)),
    ),
    "inner product": (op.matmul, [(7,), (7,)], Work(7, 0, 4 * (7 + 7 + 1))),
    # scores 5 x 6 of 8 channels, results 5 of 4 channels from 6; 3 heads
    "attention": (
        op.nn.attention,
        [(1, 5, 3, 8), (1, 6, 3, 8), (1, 6, 3, 4)],
        Work(3 * 5 * 6 * (8 + 4), 0, 4 * (120 + 144 + 72 + 60)),
    ),
    "einsum": (
        lambda x, y: op.einsum((x, y), "bik,bjk->bij"),
        [(2, 3, 5), (2, 4, 5)],
        Work(2 * 3 * 4 * 5, 0, 4 * (30 + 40 + 24)),
    ),
    "max pooling": (
        lambda x: op.nn.max_pool2d(x, (3, 3), 2),
        [(1, 4, 7, 7)],
        Work(0, 4 * 9 * 9, 4 * (196 + 36)),
    ),
    "global average": (
        lambda x: op.nn.adaptive_avg_pool2d(x, (1, 1)),
        [(1, 4, 7, 7)],
        Work(0, 196, 4 * (196 + 4)),
    ),
    "mean": (lambda x: op.mean(x, [1, 2]), [(2, 7, 7, 4)], Work(0, 392, 4 * (392 + 8))),
    "softmax": (op.nn.softmax, [(3, 5, 5)], Work(0, 75, 4 * (75 + 75))),
    "layer norm": (
        lambda x, scale, offset: op.nn.layer_norm(x, scale, offset, -1),
        [(3, 5, 20), (20,), (20,)],
        Work(0, 300, 4 * (300 + 20 + 20 + 300)),
    ),
    "broadcast sum": (op.add, [(4, 1), (1, 6)], Work(0, 24, 4 * (4 + 6 + 24))),
    "square": (lambda x: op.multiply(x, x), [(4, 6)], Work(0, 24, 4 * (24 + 24))),
    "reshape": (lambda x: op.reshape(x, (6, 4)), [(4, 6)], Work(0, 0, 0)),
    "transpose": (op.permute_dims, [(4, 6)], Work(0, 0, 4 * (24 + 24))),
    "slice": (lambda x: op.strided_slice(x, [0], [0], [1]), [(100, 6)], Work(0, 0, 4 * (6 + 6))),
    "concat": (lambda x, y: op.concat((x, y), 0), [(4, 6), (2, 6)], Work(0, 0, 4 * (36 + 36))),
}


@pytest.mark.parametrize("name", CASES)
def test_the_work_of_an_operator_is_what_a_count_by_hand_gives(name):
    operator, shapes, expected = CASES[name]
    assert work(operator, *(tensor(*shape) for shape in shapes)) == expected


def test_bytes_follow_the_dtype():
    cast = work(lambda x: op.astype(x, "float32"), tensor(3, 5, dtype="int8"))
    assert cast == Work(0, 15, 15 * (1 + 4))
