"""The product of a matrix, or of a stack of them, with constant weights."""
