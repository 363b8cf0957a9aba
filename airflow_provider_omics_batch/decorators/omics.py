"""``@task.start_run_batch``: run settings from a function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk.bases.decorator import DecoratedOperator, TaskDecorator, task_decorator_factory

from airflow_provider_omics_batch.operators.omics import StartRunBatchOperator
from airflow_provider_omics_batch.run_batch.sheets import SampleSheet

if TYPE_CHECKING:
    from airflow.sdk import Context


class _StartRunBatchDecoratedOperator(DecoratedOperator, StartRunBatchOperator):
    """
    Submit the run settings that a function returns or yields.

    The function is called whenever settings are submitted: in the first try, in a retry, for each round of
    failed runs. What it yields is staged as it comes, and never held in memory.

    :param python_callable: The function; it returns whatever ``batch_run_settings`` may be.
    :param op_args: Its positional arguments. (templated)
    :param op_kwargs: Its keyword arguments. (templated)

    The others are those of :class:`~airflow_provider_omics_batch.operators.omics.StartRunBatchOperator`.
    """

    custom_operator_name = "@task.start_run_batch"

    # The function's arguments come first, so that the other templates may name them.
    template_fields = (
        *DecoratedOperator.template_fields,
        *(name for name in StartRunBatchOperator.template_fields if name != "batch_run_settings"),
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        name: renderer
        for operator in (DecoratedOperator, StartRunBatchOperator)
        for name, renderer in operator.template_fields_renderers.items()
        if name != "batch_run_settings"
    }

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if inspect.iscoroutinefunction(python_callable) or inspect.isasyncgenfunction(python_callable):
            raise TypeError(
                f"{self.custom_operator_name} takes a function without async, not {python_callable!r}"
            )
        if "batch_run_settings" in kwargs:
            raise TypeError(
                f"{self.custom_operator_name} takes no batch_run_settings: the function returns them"
            )
        super().__init__(
            python_callable=python_callable,
            op_args=op_args,
            op_kwargs=op_kwargs,
            batch_run_settings=(),
            **kwargs,
        )

    def pre_execute(self, context: Any) -> None:
        """Let ``map_index_template`` name the function's arguments, also when the task resumes."""
        super().pre_execute(context)
        context.update({**self.op_kwargs, **context})

    def run_settings(self, context: Context) -> Any:
        """
        Call the function, and return what it returns.

        It may change what it is given: the next call gets that anew. Nothing of what it raises is changed.
        """
        kwargs = self.determine_kwargs({**context, **_copied(dict(self.op_kwargs))})
        given = self.python_callable(*_copied(list(self.op_args)), **kwargs)
        return given.resolve(context) if isinstance(given, SampleSheet) else given


def _copied(value: Any) -> Any:
    """Return a copy of what one task gives to another; what else it holds is the same."""
    if type(value) is dict:
        return {name: _copied(member) for name, member in value.items()}
    if type(value) in (list, set):
        return type(value)(map(_copied, value))
    return value


def start_run_batch_task(python_callable: Callable[..., Any] | None = None, **kwargs: Any) -> TaskDecorator:
    """
    Make a function that returns or yields run settings into a task that runs them as one batch.

    .. code-block:: python

        @task.start_run_batch(default_run_setting={...}, staging_uri="s3://bucket/prefix/")
        def call_variants(samples):
            for sample in samples:
                yield {"runSettingId": sample, "parameters": {"sample": sample}}

    :param python_callable: The function to decorate.
    :param kwargs: Arguments of :class:`~airflow_provider_omics_batch.operators.omics.StartRunBatchOperator`,
        all but ``batch_run_settings``.
    """
    if kwargs.pop("multiple_outputs", False):
        raise TypeError("@task.start_run_batch takes no multiple_outputs: the task's result is the summary")
    return task_decorator_factory(
        python_callable=python_callable,
        # The task's result is the summary, whatever the function is annotated with.
        multiple_outputs=False,
        decorated_operator_class=_StartRunBatchDecoratedOperator,
        **kwargs,
    )
