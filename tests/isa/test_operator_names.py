"""The accelerator knows instructions; which operator they compute is the compiler's business."""

import re
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "tvm_vsq"
OPERATOR = re.compile(
    r"(?i)(?<![a-z])(conv\d?d?|dense|matmul|depthwise|(max|avg)_?pool\w*|pooling|softmax)(?![a-z])"
)
COMMENT = re.compile(r"//[^\n]*")


def test_no_operator_is_named_in_cpp():
    files = [path for path in SOURCES.rglob("*") if path.suffix in (".cc", ".h")]
    assert files
    named = {
        str(path.relative_to(SOURCES)): found.group()
        for path in files
        if (found := OPERATOR.search(COMMENT.sub("", path.read_text(encoding="utf-8"))))
    }
    assert not named
