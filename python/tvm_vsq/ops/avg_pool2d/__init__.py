"""2-D average pooling, channels last: any window, stride, dilation and padding, which counts or does not."""
