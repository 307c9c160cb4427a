"""Makes IAM users in an AWS that is emulated on this machine, with boto3."""

import boto3

from lines import serve


def answer(request):
    if not request["endpoint"].startswith("http://127.0.0.1:"):
        raise ValueError("only an emulator on this machine is asked")
    iam = boto3.client(
        "iam",
        endpoint_url=request["endpoint"],
        region_name="us-east-1",
        aws_access_key_id=request["access_key_id"],
        aws_secret_access_key="test",
    )
    iam.create_user(UserName=request["name"])
    for number, policy in enumerate(request["policies"]):
        iam.put_user_policy(UserName=request["name"], PolicyName=f"p{number}", PolicyDocument=policy)
    key = iam.create_access_key(UserName=request["name"])["AccessKey"]
    return {"access_key_id": key["AccessKeyId"], "secret_access_key": key["SecretAccessKey"]}


serve(answer)
