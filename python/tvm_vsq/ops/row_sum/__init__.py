"""A sum of two tensors of 32-bit numbers, as of a stream of residuals that is normalized in between."""
