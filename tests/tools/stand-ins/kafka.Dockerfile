# Stands in for apache/kafka, with the jars that the tests have of Maven.
FROM o11y-lab-stand-in/debian
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends openjdk-17-jre-headless \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 1000 appuser \
 && install -d -o appuser -g appuser /var/lib/kafka /var/lib/kafka/data /opt/kafka /opt/kafka/config
COPY libs /opt/kafka/libs
COPY kafka-topics.sh /opt/kafka/bin/
COPY kafka-entrypoint /usr/local/bin/docker-entrypoint.sh
USER appuser
EXPOSE 9092
ENTRYPOINT ["docker-entrypoint.sh"]
