"""A batch whose parameters and session policy are nobody's business."""

from __future__ import annotations

import json

from airflow.sdk import DAG

from airflow_provider_omics_batch.operators.omics import StartRunBatchOperator

#: Nothing that Airflow would take for a password by its name.
WORD = "xyzzy8472plugh"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{WORD}/*"}],
}

for way, deferrable in (("deferred", True), ("on_the_worker", False)):
    with DAG(f"brief_secretive_{way}", schedule=None):
        StartRunBatchOperator(
            task_id="start",
            default_run_setting={
                "workflowId": "1234567",
                "roleArn": "arn:aws:iam::123456789012:role/omics",
                "outputUri": "s3://bucket/out/",
                "parameters": {"reference": WORD},
                "sessionPolicy": json.dumps(POLICY),
            },
            batch_run_settings=[{"runSettingId": "NA12878", "parameters": {"cram": WORD}}],
            batch_name="{{ run_id }}",
            staging_uri="s3://cohort/airflow/",
            aws_conn_id="aws_brief",
            poll_interval=1,
            deferrable=deferrable,
        )
