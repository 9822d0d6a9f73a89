"""What quantization does to a network, and which formats suit it: a canonical graph, formats and data come
in; reports of each layer's error, profiles of how sensitive each layer is to each format, and a
QuantConfig with the mix of formats for an aim go out. Compiling needs none of it."""
