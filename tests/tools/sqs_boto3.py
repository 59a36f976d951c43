"""Another program on the lab's SQS queue: AWS's own client for Python.

    sqs_boto3.py --queue-url http://127.0.0.1:9324/123/notifications receive
    sqs_boto3.py --queue-url … send --body '{"n":1}' --attribute traceparent=00-…-01

`receive` takes one message, deletes it, and prints it as {"body": …, "attributes": {name: value}}; it exits
with 1 where none came within 20 s. `send` prints the message's id.
"""

import argparse
import json
import sys
from urllib.parse import urlsplit

import boto3


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--queue-url", required=True)
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("receive")
    send = actions.add_parser("send")
    send.add_argument("--body", required=True)
    send.add_argument("--attribute", action="append", default=[], metavar="NAME=VALUE")
    return parser.parse_args()


def send(sqs, url, body, pairs):
    attributes = {
        name: {"DataType": "String", "StringValue": value}
        for name, _, value in (pair.partition("=") for pair in pairs)
    }
    print(sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=attributes)["MessageId"])


def receive(sqs, url):
    answer = sqs.receive_message(
        QueueUrl=url, MessageAttributeNames=["All"], MaxNumberOfMessages=1, WaitTimeSeconds=20
    )
    for message in answer.get("Messages", []):
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        attributes = {
            name: value["StringValue"] for name, value in message.get("MessageAttributes", {}).items()
        }
        print(json.dumps({"body": message["Body"], "attributes": attributes}))
        return
    sys.exit("no message came")


def main():
    options = arguments()
    place = urlsplit(options.queue_url)
    sqs = boto3.client(
        "sqs",
        endpoint_url=f"{place.scheme}://{place.netloc}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    if options.action == "send":
        send(sqs, options.queue_url, options.body, options.attribute)
    else:
        receive(sqs, options.queue_url)


if __name__ == "__main__":
    main()
