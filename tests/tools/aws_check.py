"""What `terraform apply` has made, asked of the AWS API. Which API, AWS_ENDPOINT_URL says.

    aws_check.py wait                 until it answers
    aws_check.py drift PLAN.json      a second plan changes nothing but what moto gets wrong
    aws_check.py api OUTPUTS.json     services, task definitions, policies, queue, function, network
    aws_check.py tasks OUTPUTS.json   the roles' commands and environments, secrets read, as JSON
    aws_check.py enforce TASKS.json   from now on IAM decides; what no role may do is refused to it
    aws_check.py relax                from now on everybody may do everything again
    aws_check.py gone                 nothing is left
"""

import base64
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

import boto3

NAME = "o11y-lab"
ROLES = {"gateway": 3000, "user": 3001, "order": 3002, "notify": 3003}
BACKENDS = ["alertmanager", "grafana", "jaeger", "loki", "prometheus"]
# Seen with moto 5.2 and provider 5.100: what moto forgets of what it was told. A JSON text that comes
# back with other blanks is no drift.
KNOWN_DRIFT = {
    ("aws_db_parameter_group", "parameter"),
    ("aws_ecs_service", "availability_zone_rebalancing"),
    ("aws_ecs_service", "health_check_grace_period_seconds"),
    ("aws_vpc_security_group_egress_rule", "description"),
    ("aws_vpc_security_group_ingress_rule", "description"),
}


def client(service):
    return boto3.client(service, region_name="eu-west-1")


def check(holds, text):
    if not holds:
        sys.exit(f"aws_check: {text}")


def wait():
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"] + "/moto-api/", timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)
    check(False, "moto does not answer")


def meaning(value):
    """A JSON text as what it says."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def drift(path):
    with open(path) as file:
        changes = json.load(file)["resource_changes"]
    seen, known = [], set()
    for change in changes:
        before, after = change["change"]["before"], change["change"]["after"]
        if change["change"]["actions"] in (["no-op"], ["read"]):
            continue
        check(change["change"]["actions"] == ["update"], f"{change['address']}: {change['change']['actions']}")
        for name in sorted(set(before) | set(after)):
            if meaning(before.get(name)) == meaning(after.get(name)):
                continue
            place = (change["type"], name)
            if place in KNOWN_DRIFT:
                known.add(".".join(place))
            else:
                seen.append(f"{change['address']}.{name}: {before.get(name)!r} -> {after.get(name)!r}")
    check(not seen, "a second plan would change " + "; ".join(seen))
    print("aws_check: no drift but what moto forgets:", *sorted(known))


def task_definitions():
    ecs = client("ecs")
    services = ecs.describe_services(cluster=NAME, services=[*ROLES, *BACKENDS][:10])["services"]
    check({one["serviceName"] for one in services} == {*ROLES, *BACKENDS}, "not every service is there")
    for one in services:
        network = one["networkConfiguration"]["awsvpcConfiguration"]
        check(network["assignPublicIp"] == "DISABLED", f"{one['serviceName']} has a public address")
        check(len(one["serviceRegistries"]) == 1, f"{one['serviceName']} has no name")
        definition = ecs.describe_task_definition(taskDefinition=one["taskDefinition"])["taskDefinition"]
        yield one["serviceName"], definition


def services():
    for name, definition in task_definitions():
        containers = {one["name"]: one for one in definition["containerDefinitions"]}
        program = containers[name]
        secrets = [one["name"] for one in program.get("secrets", [])]
        if name in ROLES:
            check(program["command"] == [name], f"{name}: {program['command']}")
            check(program["portMappings"][0]["containerPort"] == ROLES[name], f"{name}: its port")
            check(program["healthCheck"]["command"] == ["CMD", "/usr/bin/o11y-lab", "healthcheck"], f"{name}: its health")
            check(secrets == ([] if name == "gateway" else ["DATABASE_URL"]), f"{name}: {secrets}")
            check(set(containers) == {name, "log_router", "config"}, f"{name}: {set(containers)}")
        else:
            check(set(containers) == {name, "config"}, f"{name}: {set(containers)}")
        yield name, definition["taskRoleArn"].rsplit("/", 1)[1], program


def written(writer, folder):
    """Runs what the container `config` runs, below a folder of ours, and gives that folder."""
    packed = {one["name"]: one["value"] for one in writer["environment"]}["FILES"]
    script = gzip.decompress(base64.b64decode(packed)).decode()
    script = re.sub(r"^(mkdir -p |cat > )(?=/)", rf"\g<1>{folder}", script, flags=re.MULTILINE)
    script = re.sub(r"^chown .*\n", "", script, flags=re.MULTILINE)
    # The image's shell where it is here, else this machine's.
    shell = ["busybox", "sh"] if shutil.which("busybox") else ["sh"]
    subprocess.run(shell, input=script, text=True, check=True)
    for mount in writer["mountPoints"]:
        check(not mount.get("readOnly"), f"{mount['containerPath']} cannot be written")
    return folder


def configuration():
    """The files as the backends get them, read by the programs that they are for."""
    for name, definition in task_definitions():
        writer = next(one for one in definition["containerDefinitions"] if one["name"] == "config")
        with tempfile.TemporaryDirectory() as folder:
            written(writer, folder)
            if name == "prometheus":
                subprocess.run(["promtool", "check", "config", f"{folder}/etc/prometheus/prometheus.yml"], check=True, stdout=subprocess.DEVNULL)
                check(len(os.listdir(f"{folder}/etc/prometheus/rules")) == 7, "not all rules are there")
            if name == "alertmanager":
                subprocess.run(["amtool", "check-config", f"{folder}/etc/alertmanager/alertmanager.yml"], check=True, stdout=subprocess.DEVNULL)
            if name == "grafana":
                for dashboard in os.listdir(f"{folder}/etc/grafana/dashboards"):
                    with open(f"{folder}/etc/grafana/dashboards/{dashboard}") as file, open(f"dashboards/{dashboard}") as ours:
                        check(json.load(file).keys() == json.load(ours).keys(), dashboard)
            if name in ROLES:
                with open(f"{folder}/fluent-bit/lab/lab.conf") as file, open("deploy/fluent-bit/lab.conf") as ours:
                    check(file.read() == ours.read(), "lab.conf is not what it was")


def queue(outputs):
    sqs, url = client("sqs"), outputs["queue_url"]["value"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    redrive = json.loads(attributes["RedrivePolicy"])
    check(redrive["maxReceiveCount"] == 5, f"{redrive}")
    check(redrive["deadLetterTargetArn"].endswith(f":{NAME}-notifications-dead"), f"{redrive}")
    check(attributes["SqsManagedSseEnabled"] == "true", "the queue is not encrypted")
    dead = sqs.get_queue_attributes(QueueUrl=outputs["dead_letter_queue_url"]["value"], AttributeNames=["All"])
    allowed = json.loads(dead["Attributes"]["RedriveAllowPolicy"])
    check(allowed == {"redrivePermission": "byQueue", "sourceQueueArns": [attributes["QueueArn"]]}, f"{allowed}")
    alarms = client("cloudwatch").describe_alarms(AlarmNamePrefix=NAME + "-")["MetricAlarms"]
    check(len(alarms) == 3, f"{[one['AlarmName'] for one in alarms]}")
    return url, attributes["QueueArn"]


def policies(roles, queue_arn, function_arn):
    iam, allowed = client("iam"), {}
    for name, role in roles.items():
        statements = []
        for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            statements += iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]["Statement"]
        for one in statements:
            check(all(arn.startswith("arn:aws:") for arn in one["Resource"]), f"{name}: {one}")
        allowed[name] = {(action, arn) for one in statements for action in one["Action"] for arn in one["Resource"]}
    check(("sqs:SendMessage", queue_arn) in allowed["order"], "order may not send")
    for action in ["ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes"]:
        check((f"sqs:{action}", queue_arn) in allowed["notify"], f"notify: {action}")
    check(("lambda:InvokeFunction", function_arn) in allowed["gateway"], "the gateway may not invoke")
    check(not any(action.startswith(("sqs:", "lambda:")) for action, _ in allowed["user"]), "user may do too much")


def network():
    ec2 = client("ec2")
    groups = ec2.describe_security_groups()["SecurityGroups"]
    ours = [one for one in groups if one["GroupName"].startswith(NAME + "-")]
    for group in ours:
        for rule in group["IpPermissions"]:
            check(rule["FromPort"] == rule["ToPort"], f"{group['GroupName']}: a range of ports")
            world = [one["CidrIp"] for one in rule["IpRanges"]]
            check(not world or group["GroupName"] == NAME + "-entry", f"{group['GroupName']} is open to {world}")
            check("0.0.0.0/0" not in world or rule["FromPort"] == 80, f"{rule['FromPort']} is open to the world")
    return len(ours)


def function(outputs):
    found = client("lambda").get_function(FunctionName=outputs["lambda_name"]["value"])["Configuration"]
    variables = found["Environment"]["Variables"]
    check(found["PackageType"] == "Image" and found["Architectures"] == ["arm64"], f"{found}")
    check(variables["O11Y_LAB_ROLE"] == "lambda" and "jaeger" in variables["OTEL_EXPORTER_OTLP_ENDPOINT"], f"{variables}")
    try:
        url = client("lambda").get_function_url_config(FunctionName=found["FunctionName"])
        check(False, f"the function has a public URL: {url}")
    except client("lambda").exceptions.ResourceNotFoundException:
        pass
    return found["FunctionArn"]


def api(path):
    with open(path) as file:
        outputs = json.load(file)
    url, queue_arn = queue(outputs)
    function_arn, roles = function(outputs), {}
    for name, role, program in services():
        roles[name] = role
        environment = {one["name"]: one["value"] for one in program["environment"]}
        check("FAULTS_ENABLED" not in environment, f"{name} can be broken by anybody")
        if name in ("order", "notify"):
            check((environment["QUEUE_TRANSPORT"], environment["SQS_QUEUE_URL"]) == ("sqs", url), f"{environment}")
    policies(roles, queue_arn, function_arn)
    secret = client("secretsmanager").get_secret_value(SecretId=f"{NAME}/database-url")["SecretString"]
    check(secret.startswith("postgres://lab:") and secret.endswith("/lab?sslmode=require"), "DATABASE_URL")
    database = client("rds").describe_db_instances()["DBInstances"][0]
    check(database["StorageEncrypted"] and not database["PubliclyAccessible"], "the database is open")
    groups = network()
    configuration()
    print(f"aws_check: {len(roles)} services, {groups} security groups, queue, function, policies, database: as written")


def assumed(role):
    """What ECS gives a container whose task has this role."""
    given = client("sts").assume_role(RoleArn=role, RoleSessionName="task")["Credentials"]
    names = {"AccessKeyId": "AWS_ACCESS_KEY_ID", "SecretAccessKey": "AWS_SECRET_ACCESS_KEY", "SessionToken": "AWS_SESSION_TOKEN"}
    return {variable: given[name] for name, variable in names.items()}


def tasks(path):
    """What a container of each role is started with, credentials included, and the function."""
    with open(path) as file:
        outputs = json.load(file)
    secrets, found = client("secretsmanager"), {}
    for name, definition in task_definitions():
        if name in ROLES:
            program = next(one for one in definition["containerDefinitions"] if one["name"] == name)
            environment = {one["name"]: one["value"] for one in program["environment"]}
            for one in program.get("secrets", []):
                environment[one["name"]] = secrets.get_secret_value(SecretId=one["valueFrom"])["SecretString"]
            environment |= assumed(definition["taskRoleArn"])
            found[name] = {"command": program["command"], "environment": environment}
    function = client("lambda").get_function(FunctionName=outputs["lambda_name"]["value"])["Configuration"]
    # Started as a zip is: without an argument, the role by its variable. Which function it stands in for
    # the real platform knows; the program's own Invoke API has to be told.
    environment = {**function["Environment"]["Variables"], "LAMBDA_FUNCTION_NAME": function["FunctionName"]}
    found["lambda"] = {"command": [], "environment": environment}
    print(json.dumps(found))


def decide(unchecked_calls):
    url, text = os.environ["AWS_ENDPOINT_URL"] + "/moto-api/reset-auth", {"Content-Type": "text/plain"}
    urllib.request.urlopen(urllib.request.Request(url, unchecked_calls.encode(), text), timeout=5).close()


def enforce(path):
    with open(path) as file:
        environments = {name: task["environment"] for name, task in json.load(file).items()}
    queue_url = environments["order"]["SQS_QUEUE_URL"]
    calls = {
        "send_message": {"MessageBody": "{}"},
        "receive_message": {},
        "delete_message": {"ReceiptHandle": "none"},
        "purge_queue": {},
        "delete_queue": {},
    }
    allowed = {"order": ["send_message"], "notify": ["receive_message", "delete_message"]}
    decide("0")
    refused = 0
    for name in ROLES:
        given = {key.lower(): value for key, value in environments[name].items() if key.startswith("AWS_") and key != "AWS_REGION"}
        sqs = boto3.client("sqs", region_name="eu-west-1", **given)
        for call in sorted(set(calls) - set(allowed.get(name, []))):
            try:
                getattr(sqs, call)(QueueUrl=queue_url, **calls[call])
                check(False, f"{name} may {call}")
            except sqs.exceptions.ClientError as error:
                check("AccessDenied" in str(error), f"{name}, {call}: {error}")
                refused += 1
    print(f"aws_check: IAM decides, and refused {refused} calls of roles that have no business to make them")


def relax():
    decide("inf")


def gone():
    # A cluster that was deleted is listed for a while, as inactive.
    clusters = client("ecs").describe_clusters(clusters=[NAME])["clusters"]
    left = {
        "clusters": [one for one in clusters if one["status"] != "INACTIVE"],
        "queues": client("sqs").list_queues().get("QueueUrls", []),
        "functions": client("lambda").list_functions()["Functions"],
        "databases": client("rds").describe_db_instances()["DBInstances"],
        "secrets": client("secretsmanager").list_secrets()["SecretList"],
        "repositories": client("ecr").describe_repositories()["repositories"],
        "log groups": client("logs").describe_log_groups()["logGroups"],
        "load balancers": client("elbv2").describe_load_balancers()["LoadBalancers"],
        "addresses": client("ec2").describe_addresses()["Addresses"],
        "roles": [one for one in client("iam").list_roles()["Roles"] if one["RoleName"].startswith(NAME)],
        "alarms": client("cloudwatch").describe_alarms(AlarmNamePrefix=NAME + "-")["MetricAlarms"],
    }
    check(not any(left.values()), f"left behind: {({name: len(rows) for name, rows in left.items() if rows})}")
    print("aws_check: nothing is left")


if __name__ == "__main__":
    verbs = [wait, drift, api, tasks, enforce, relax, gone]
    {verb.__name__: verb for verb in verbs}[sys.argv[1]](*sys.argv[2:])
