"""Creates the bucket and the streams: LocalStack runs it at every start, because a restart loses them."""

import os

import boto3

REGION = os.environ["AWS_DEFAULT_REGION"]
about = {"region_name": REGION, "endpoint_url": "http://127.0.0.1:4566"}
keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}

s3 = boto3.client("s3", **about, **keys)
where = {} if REGION == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": REGION}}
s3.create_bucket(Bucket=os.environ["BUCKET_NAME"], **where)

kinesis = boto3.client("kinesis", **about, **keys)
for name in os.environ["STREAMS"].split():
    kinesis.create_stream(StreamName=name, ShardCount=int(os.environ["STREAM_SHARDS"]))
for name in os.environ["STREAMS"].split():
    kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
