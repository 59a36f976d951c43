"""AWS as moto has it, for Terraform: `python aws_server.py -H 127.0.0.1 -p PORT`.

Two things that Terraform waits for are missing in moto 5.2 and are added here: the tags of a scaling
target, and who may use a queue for dead letters. And where moto is told to enforce IAM, a batch needs
what AWS asks for it: the permission of the single call. Needs `moto[server]` and nothing else.
"""

import json
import os
import sys

# The policy that AWS itself keeps, which the function's role names.
os.environ.setdefault("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")


def repair():
    from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse as Scaling
    from moto.iam.access_control import IAMRequest
    from moto.sqs.models import Queue

    decide = IAMRequest.check_action_permitted

    def decide_of_one(self, resource):
        self._action = self._action.removesuffix("Batch")
        decide(self, resource)

    IAMRequest.check_action_permitted = decide_of_one
    tags, register = {}, Scaling.register_scalable_target

    def register_with_tags(self):
        answer = register(self)
        body = answer[2] if isinstance(answer, tuple) else answer
        if given := self._get_param("Tags"):
            tags[json.loads(body)["ScalableTargetARN"]] = given
        return answer

    def list_tags(self):
        return json.dumps({"Tags": tags.get(self._get_param("ResourceARN"), {})})

    Scaling.register_scalable_target = register_with_tags
    Scaling.list_tags_for_resource = list_tags
    Queue.BASE_ATTRIBUTES.append("RedriveAllowPolicy")
    # An empty policy is none: that is how one is taken away.
    Queue.redrive_allow_policy = property(
        lambda queue: queue.__dict__.get("allowed"), lambda queue, policy: queue.__dict__.update(allowed=policy or None)
    )


if __name__ == "__main__":
    from moto.server import main

    repair()
    main(sys.argv[1:])
