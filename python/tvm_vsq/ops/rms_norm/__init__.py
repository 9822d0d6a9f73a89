"""Rows divided by the root of the mean of their squares, over the last axis."""
