"""Rows as probabilities: softmax over the last axis, with a mask or another tensor added before."""
