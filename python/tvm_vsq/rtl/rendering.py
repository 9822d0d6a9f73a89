"""Texts made from `templates/`."""

from __future__ import annotations

import jinja2


def render(template: str, **context: object) -> str:
    """The text of one of `templates/`; a name that it does not know is an error."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tvm_vsq.rtl"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(context)
