"""Archives the classes that Apache Kafka's broker loads: kafka_archive.py FOLDER, where scripts/provision put the jars.

Runs a broker once, ends it, and adds the archive to FOLDER/java.options.
"""

import pathlib
import socket
import subprocess
import sys
import tempfile
import time

WITHIN = 120  # seconds

PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
log.dirs={data}
offsets.topic.replication.factor=1
"""


def free_ports(count):
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


def main(folder):
    options, archive = folder / "java.options", folder / "classes.jsa"
    with tempfile.TemporaryDirectory() as data:
        broker, controller = free_ports(2)
        properties = pathlib.Path(data, "properties")
        properties.write_text(PROPERTIES.format(broker=broker, controller=controller, data=f"{data}/log"))
        java = ["java", f"@{options}"]
        form = ["kafka.tools.StorageTool", "format", "--cluster-id", "AAAAAAAAAAAAAAAAAAAAAQ"]
        subprocess.run([*java, *form, "--config", properties], check=True, stdout=subprocess.DEVNULL)
        run = [*java, f"-XX:ArchiveClassesAtExit={archive}", "kafka.Kafka", properties]
        with subprocess.Popen(run, stdout=subprocess.DEVNULL) as kafka:
            until = time.monotonic() + WITHIN
            while not answers(broker):
                if kafka.poll() is not None or time.monotonic() > until:
                    kafka.kill()
                    sys.exit("kafka_archive: the broker did not start")
                time.sleep(0.1)
            kafka.terminate()
            kafka.wait(WITHIN)
    if archive.is_file():
        with options.open("a") as file:
            file.write(f'"-XX:SharedArchiveFile={archive}" -Xlog:cds=off -Xlog:cds+dynamic=off\n')


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
