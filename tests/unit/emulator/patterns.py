"""The patterns of the service model, each with texts that it allows and texts just beyond."""

from __future__ import annotations

from typing import NamedTuple


class Pattern(NamedTuple):
    """
    What a pattern allows.

    :param allowed: a text of which the last character can be repeated.
    :param beyond: texts that somebody could send by mistake.
    """

    allowed: str
    beyond: tuple[str, ...]


_URI = "s3://bucket/a"
_LONG_KEY = "s3://bucket/" + "a" * 1025
_NO_BUCKETS = (
    "http://bucket/a",
    "S3://bucket/a",
    "s3:/bucket/a",
    "s3:bucket/a",
    "bucket/a",
    " s3://bucket/a",
    "s3://b",
    "s3:///a",
    "s3://-bucket/a",
    "s3://bucket-/a",
    "s3://my_bucket/a",
    "s3://Bucket/a",
    f"s3://{'b' * 64}/a",
    "s3://bucket/a\n",
    _LONG_KEY,
)
_SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:"
_CONNECTION = "arn:aws:codeconnections:us-east-1:123456789012:a"

PATTERNS = {
    r"[0-9]+": Pattern(
        "1", ("12a", "a12", "-12", "+12", "1.2", "1 2", " 12", "12\n", "0x1f", "\u0661\u0662")
    ),
    r"[0-9]{12}": Pattern(
        "111111111111",
        (
            "11111111111",
            "1111111111111",
            "1111-1111-1111",
            "11111111111a",
            "111111111111\n",
            "\u0661" * 12,
        ),
    ),
    r"arn:.+": Pattern("arn:x", ("arn:", "arn", "ARN:x", "arn x", " arn:x", "role/omics", "arn:x\n")),
    r"[A-Za-z0-9][A-Za-z0-9\-\._]*": Pattern(
        "a-._a", ("-a", ".a", "_a", " a", "a b", "a+b", "a:b", "a@b", "\u00e4", "a\u00e4", "a\n")
    ),
    r"[\p{L}||\p{M}||\p{Z}||\p{S}||\p{N}||\p{P}]+": Pattern(
        "ä ²€-a", ("a\n", "a\tb", "a\r", "a\x7f", "a\x85", "\ufeffa", "a\u200b", "a\ue000")
    ),
    r"[\p{L}\p{M}\p{Z}\p{S}\p{N}\p{P}\t\n\r]+": Pattern(
        "{\n\t}", ("{}\x0b", "{}\x0c", "{}\x7f", "\ufeff{}", "{\u200b}", "{\ue000}")
    ),
    r"s3://([a-z0-9][a-z0-9-.]{1,61}[a-z0-9])(/(.{0,1024}))?": Pattern(_URI, _NO_BUCKETS),
    r"s3://([a-z0-9][a-z0-9-.]{1,61}[a-z0-9])/((.{1,1024}))": Pattern(
        _URI, (*_NO_BUCKETS, "s3://bucket", "s3://bucket/")
    ),
    r".+/.+": Pattern("owner/a", ("owner", "owner/", "/a", "owner\\a", "owner/a\n")),
    r"arn:aws(-\w+)*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[a-zA-Z0-9\/_+=.@-]+": Pattern(
        f"{_SECRET}a",
        (
            _SECRET,
            f"{_SECRET}a b",
            f"{_SECRET}a:b",
            f"{_SECRET}a\n",
            "arn:aws:secretsmanager:us-east-1:123456789012:a",
            "arn:aws:secretsmanager:us-east-1:12345678901:secret:a",
            "arn:aws:secretsmanager:us-east-1:1234567890123:secret:a",
            "arn:aws:secretsmanager:US-EAST-1:123456789012:secret:a",
            "arn:aws:secretsmanager:123456789012:secret:a",
            "arn:aws:ssm:us-east-1:123456789012:secret:a",
            "arn:azure:secretsmanager:us-east-1:123456789012:secret:a",
        ),
    ),
    r"arn:aws(-[\w]+)*:.+:.+:[0-9]{12}:.+": Pattern(
        _CONNECTION,
        (
            "arn:aws:codeconnections:us-east-1:123456789012",
            "arn:aws:codeconnections:us-east-1:123456789012:",
            "arn:aws:codeconnections:us-east-1:12345678901:a",
            "arn:aws:codeconnections:us-east-1:1234567890123:a",
            "arn:aws:codeconnections:us-east-1:12345678901x:a",
            "arn:aws:codeconnections:123456789012:a",
            "arn:azure:codeconnections:us-east-1:123456789012:a",
            f" {_CONNECTION}",
            f"{_CONNECTION}\n",
        ),
    ),
}

#: No pattern of the model allows it.
CONTROL = "\x00"
