"""The sum of two activation tensors, each with a coarse scale of its own, where no layer takes it along."""
