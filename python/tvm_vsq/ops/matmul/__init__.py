"""The product of two stacks of matrices, both activations."""
