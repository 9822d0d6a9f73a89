"""What a function that is looked up is made of (docs/numerics.md, section 5)."""

TABLE_SEGMENTS = 128
"""Each is a value and a slope: the bias and the clip of a lane of a parameter entry."""

TABLE_INPUT_BITS, TABLE_VALUE_BITS = 16, 24
"""Of its argument, and of a segment's value and of its slope; all signed."""
