"""`python -m tvm_vsq` is `tvm-vsq`."""

from tvm_vsq.cli import main

main()
