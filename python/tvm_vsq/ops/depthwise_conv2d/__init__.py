"""2-D depthwise convolution, channels last: a constant filter for each channel."""
