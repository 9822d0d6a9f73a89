"""One folder an operator, one file an aspect; `registry` lists the operators and finds their files."""
