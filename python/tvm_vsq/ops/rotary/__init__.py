"""Pairs of numbers of each row turned by angles that follow from a position: rotary embeddings (Su et al.,
"RoFormer", 2021).
"""
