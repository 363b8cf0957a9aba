"""Parameter templates: which parameters the runs of a workflow may have."""

from __future__ import annotations

from typing import Any

#: The parameters that a run may have; those of which ``optional`` is not true it must have.
ParameterTemplate = dict[str, dict[str, Any]]


def template_problem(template: ParameterTemplate, parameters: dict[str, Any]) -> str | None:
    """Tell what is wrong with the parameters of a run."""
    if unknown := sorted(parameters.keys() - template.keys()):
        return f"parameters that the workflow does not have: {', '.join(unknown)}"
    required = {name for name, traits in template.items() if not traits.get("optional")}
    if missing := sorted(required - parameters.keys()):
        return f"parameters that the workflow needs are missing: {', '.join(missing)}"
    return None
