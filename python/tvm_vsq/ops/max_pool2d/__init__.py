"""2-D maximum pooling, channels last: any window, stride, dilation and padding."""
