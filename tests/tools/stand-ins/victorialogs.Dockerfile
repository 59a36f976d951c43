# Stands in for victoriametrics/victoria-logs.
FROM o11y-lab-stand-in/debian
RUN apt-get update && apt-get install -y --no-install-recommends wget && rm -rf /var/lib/apt/lists/*
COPY victoria-logs /victoria-logs-prod
ENTRYPOINT ["/victoria-logs-prod"]
