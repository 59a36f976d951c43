# Stands in for otel/opentelemetry-collector-contrib, which holds the program alone.
FROM o11y-lab-stand-in/debian
COPY otelcol /otelcol-contrib
USER 10001
ENTRYPOINT ["/otelcol-contrib"]
