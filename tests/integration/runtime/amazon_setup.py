"""Fills moto's S3 and IAM, run by the Python that has boto3: URL and folder as arguments, files below the folder.

A bucket `models` of the files, a role `reader` that may read it and a role `nobody` that may do nothing. From then on
every request is judged by its signature. Prints the keys of a user who may read, and of a session of `reader`.
"""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

TRUST = {"Version": "2012-10-17", "Statement": []}
READING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "*"}],
}


def main(url: str, folder: Path) -> None:
    """Fills what listens at `url`."""

    boto3, requests = importlib.import_module("boto3"), importlib.import_module("requests")

    def client(name: str, **keys: str) -> Any:
        given = keys or {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
        return boto3.client(name, endpoint_url=url, region_name="eu-west-1", **given)

    s3, iam = client("s3"), client("iam")
    s3.create_bucket(Bucket="models", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    for path in folder.rglob("*.*"):
        s3.put_object(Bucket="models", Key=path.relative_to(folder).as_posix(), Body=path.read_bytes())
    for role in ("reader", "nobody"):
        iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(TRUST))
    iam.put_role_policy(RoleName="reader", PolicyName="read", PolicyDocument=json.dumps(READING))
    iam.create_user(UserName="person")
    iam.put_user_policy(UserName="person", PolicyName="read", PolicyDocument=json.dumps(READING))
    key = iam.create_access_key(UserName="person")["AccessKey"]
    session = client("sts").assume_role(
        RoleArn="arn:aws:iam::123456789012:role/reader", RoleSessionName="session"
    )
    requests.post(f"{url}/moto-api/reset-auth", data="0", timeout=30).raise_for_status()
    temporary = session["Credentials"]
    print(
        json.dumps(
            {
                "user": [key["AccessKeyId"], key["SecretAccessKey"]],
                "session": [temporary[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")],
            }
        )
    )


main(sys.argv[1], Path(sys.argv[2]))
