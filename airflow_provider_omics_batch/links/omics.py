"""Links from a task's page to what belongs to its batch in the AWS console, which has no page for a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.providers.amazon.aws.links.base_aws import BASE_AWS_CONSOLE_LINK, BaseAwsLink
from airflow.sdk.execution_time.xcom import XCom

from airflow_provider_omics_batch.operators.memory import pull
from airflow_provider_omics_batch.run_batch.logs import LOG_GROUP
from airflow_provider_omics_batch.run_batch.manifest import manifest_folder
from airflow_provider_omics_batch.run_batch.s3 import split_s3_uri

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context
    from airflow.sdk.types import TaskInstanceKey

    from airflow_provider_omics_batch.operators.waiting import OmicsTask


class _RunBatchLink(BaseAwsLink):
    """
    A link that is there from when it is persisted, be the task at work, deferred or at its end.

    Airflow's API server shows what it finds in XCom under :attr:`xcom_key`, where Airflow itself puts a link
    only when the task pauses or ends. So the whole link goes there, and not the values that it is made of.
    """

    @property
    def xcom_key(self) -> str:
        """The XCom key of the whole link."""
        return self.key

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """
        Return the link, or nothing where there is none.

        :param operator: The task's operator.
        :param ti_key: Its task instance.
        """
        return XCom.get_value(key=self.key, ti_key=ti_key) or ""

    @classmethod
    def persist(
        cls, context: Context, operator: BaseOperator, region_name: str, aws_partition: str, **kwargs: Any
    ) -> None:
        """
        Show the link on the task's page, also where ``do_xcom_push`` is ``False``.

        :param context: The task's.
        :param operator: Its operator.
        :param region_name: Region of the batch.
        :param aws_partition: Partition of that; those whose console is not known get no link.
        :param kwargs: What else the link is made of.
        """
        domain = cls.get_aws_domain(aws_partition)
        link = cls().format_link(region_name=region_name, aws_domain=domain, **kwargs) if domain else ""
        context["ti"].xcom_push(key=cls.key, value=link)

    @classmethod
    def show(cls, context: Context, operator: OmicsTask, **kwargs: Any) -> None:
        """
        Persist the link for the batch of a task; whatever goes wrong with that is only logged.

        :param context: The task's. It has pushed its ``batch_arn``, if there is one.
        :param operator: Its operator.
        :param kwargs: What else the link is made of.
        """
        try:
            region_name, aws_partition = _place(context, operator)
            cls.persist(context, operator, region_name, aws_partition, **kwargs)
        except Exception as error:
            operator.log.warning("The task's page has no link %r: %s", cls.name, error)


def _place(context: Context, operator: OmicsTask) -> tuple[str, str]:
    """Return Region and partition, if possible without making a client for that alone."""
    if batch_arn := pull(context, "batch_arn"):
        _, partition, _, region, _ = batch_arn.split(":", 4)
        return region, partition
    return operator.hook.conn_region_name, operator.hook.conn_partition


class RunBatchLogsLink(_RunBatchLink):
    """Link to the logs of all runs in CloudWatch; their streams begin with ``run/<run id>``."""

    name = "CloudWatch Logs of Runs"
    key = "omics_run_batch_logs"
    # The console wants a name that is quoted twice, with another sign for per cent.
    format_str = (
        BASE_AWS_CONSOLE_LINK
        + "/cloudwatch/home?region={region_name}#logsV2:log-groups/log-group/"
        + quote(quote(LOG_GROUP, safe=""), safe="").replace("%", "$")
    )


class _S3Link(_RunBatchLink):
    """Link to the page of an object in S3, or to the list of what is below a prefix that ends in a slash."""

    format_str = BASE_AWS_CONSOLE_LINK + "/s3/{page}/{bucket}?region={region_name}&prefix={key}"

    def format_link(self, *, uri: str | None = None, **kwargs: Any) -> str:
        if not uri:
            return ""
        bucket, key = split_s3_uri(uri)
        page = "object" if key and not key.endswith("/") else "buckets"
        return super().format_link(page=page, bucket=quote(bucket), key=quote(key), **kwargs)


class RunBatchManifestLink(_S3Link):
    """Link to the manifest in S3; before it is ``written``, to the prefix below which it will be."""

    name = "Run Manifest in S3"
    key = "omics_run_batch_manifest"

    def format_link(self, *, uri: str | None = None, written: bool = True, **kwargs: Any) -> str:
        return super().format_link(uri=uri if written or not uri else manifest_folder(uri), **kwargs)


class RunBatchOutputsLink(_S3Link):
    """Link to the prefix in S3 below which the runs of a batch put their outputs."""

    name = "Run Outputs in S3"
    key = "omics_run_batch_outputs"

    def format_link(self, *, output_uri: str | None = None, **kwargs: Any) -> str:
        return super().format_link(uri=output_uri and f"{output_uri.rstrip('/')}/", **kwargs)
