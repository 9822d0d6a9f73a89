"""Rows without their mean, divided by their standard deviation: layer normalization over the last axis."""
