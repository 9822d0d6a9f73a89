"""The product of two activation tensors, the second of which may be one value for all of an image."""
