"""2-D convolution with constant weights: channels last, one group."""
