#!/bin/bash
# The client alone: it needs neither the server's heap nor time for its optimiser.
exec java -Xmx64m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp '/opt/kafka/libs/*' org.apache.kafka.tools.TopicCommand "$@"
