"""A quantized network as a torch.nn.Module: a model and what to quantize it to come in; a module that
evaluates the integers at torch's speed, trains the weights behind them, and gives the quantized graph
with the weights as they then are, goes out."""

from tvm_vsq.torch_module.fake_quantize import fake_quantize

__all__ = ["fake_quantize"]
