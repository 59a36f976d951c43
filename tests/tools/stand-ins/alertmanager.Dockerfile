# Stands in for prom/alertmanager.
FROM o11y-lab-stand-in/debian
COPY alertmanager amtool /bin/
RUN install -d -o nobody -g nogroup /alertmanager
USER nobody
WORKDIR /alertmanager
VOLUME ["/alertmanager"]
ENTRYPOINT ["/bin/alertmanager"]
