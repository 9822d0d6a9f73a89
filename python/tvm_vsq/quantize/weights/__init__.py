"""The integers of each layer's weights: a plan, float weights and the moments of what each layer reads come
in; vectors, a coarse scale for each output channel and a correction of the bias go out."""
