"""Amazon SQS as moto has it: for the compose profile `sqs`, and for the tests.

    python serve.py [moto_server's arguments]     QUEUE_NAME=notifications makes that queue and its dead letters
    python serve.py --check                       exits 0 once it answers on port 5000

Needs `moto[server]` and nothing else. It keeps everything in memory: a restart forgets the messages.
"""

import json
import os
import sys
import urllib.request

ACCOUNT, REGION = "123456789012", "us-east-1"


def repair():
    """Takes moto's own lock where moto forgot it.

    A delete replaces the list of messages by a copy, and would lose one that is sent meanwhile; two
    receives at once would both take a message (seen in 2 of 30 queues of 200 messages). A receive
    that waits lets go of the lock.
    """
    from moto.sqs.models import Queue, SQSBackend

    delete, receive = Queue.delete_message, SQSBackend.receive_message

    def delete_locked(queue, receipt):
        with queue._messages_lock:
            delete(queue, receipt)

    def receive_locked(backend, name, *args, **more):
        with backend.get_queue(name)._messages_lock:
            return receive(backend, name, *args, **more)

    Queue.delete_message = delete_locked
    SQSBackend.receive_message = receive_locked


def create(name, attempts):
    """A queue that gives up on a message after so many deliveries, and the one where those go."""
    from moto.sqs.models import sqs_backends

    backend = sqs_backends[ACCOUNT][REGION]
    dead = backend.create_queue(f"{name}-dead", {})
    policy = {"deadLetterTargetArn": dead.queue_arn, "maxReceiveCount": attempts}
    backend.create_queue(name, {}, RedrivePolicy=json.dumps(policy))


def main(arguments):
    if arguments == ["--check"]:
        urllib.request.urlopen("http://127.0.0.1:5000/moto-api/", timeout=5).close()
        return
    from moto.server import main as serve

    repair()
    if name := os.environ.get("QUEUE_NAME"):
        create(name, int(os.environ.get("QUEUE_MAX_ATTEMPTS") or 5))
    serve(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
