"""How the tensors that layers read are encoded: a plan, calibrated ranges and the data come in; a format,
signed or not, the magnitude that the coarse scale covers, and maybe static vector scales, go out for each
tensor."""
