"""Services: rate, errors and duration, what is downstream, what the business did, what the processes use."""

from .grafana import GREEN, ORANGE, RED, TO_LOGS, dashboard, panel, quantiles, query, stat

SERVER = "http_server_request_duration_seconds"
CLIENT = "http_client_request_duration_seconds"
DB = "db_client_operation_duration_seconds"
ERROR = 'http_response_status_code=~"5.."'
RATIO = [(None, GREEN), (0.005, ORANGE), (0.05, RED)]

traffic = [
    stat("Availability", "Share of requests without a 5xx. A service that got no request, or none that failed, "
         "stands at 100 %.", "percentunit",
         query(f"1 - sum by (job) (rate({SERVER}_count{{@,{ERROR}}}[$i])) "
               f"/ clamp_min(sum by (job) (rate({SERVER}_count{{@}}[$i])), 1e-9)", "{{job}}"),
         w=24, most=1, steps=[(None, RED), (0.95, ORANGE), (0.995, GREEN)], links=[TO_LOGS]),
    panel("Requests by service", "Requests answered per second. Scrapes and health checks are not counted.", "reqps",
          query(f"sum by (job) (rate({SERVER}_count{{@}}[$i]))", "{{job}}"), links=[TO_LOGS]),
    panel("Errors by service", "Share of requests answered with a 5xx, timeouts (504) included. A client's 4xx "
          "is no error of the service.", "percentunit",
          query(f"sum by (job) (rate({SERVER}_count{{@,{ERROR}}}[$i])) "
                f"/ clamp_min(sum by (job) (rate({SERVER}_count{{@}}[$i])), 1e-9)", "{{job}}"),
          steps=RATIO, lines=True, links=[TO_LOGS]),
    panel("Duration by service", "Time to answer, by quantile. Read off histogram buckets, so exact to a bucket.", "s",
          *quantiles(SERVER, "job", "{{job}}"), links=[TO_LOGS]),
]

routes = [
    panel("Requests by route", "Requests answered per second, by matched route; what matched none is `other`.", "reqps",
          query(f"sum by (job, http_request_method, http_route) (rate({SERVER}_count{{@}}[$i])) > 0",
                "{{job}} {{http_request_method}} {{http_route}}")),
    panel("Errors by route", "5xx per second, by route: zero lines are routes that did not fail.", "reqps",
          query(f"sum by (job, http_request_method, http_route) (rate({SERVER}_count{{@,{ERROR}}}[$i]))",
                "{{job}} {{http_request_method}} {{http_route}}")),
    panel("Duration by route, p95", "Time that 95 of 100 requests took at most, by route.", "s",
          query(f"histogram_quantile(0.95, sum by (job, http_request_method, http_route, le) "
                f"(rate({SERVER}_bucket{{@}}[$i]))) >= 0", "{{job}} {{http_request_method}} {{http_route}}",
                exemplar=True)),
    panel("Answers by status", "Requests per second, by status code; 499 is a client that went away before its answer.", "reqps",
          query(f"sum by (http_response_status_code) (rate({SERVER}_count{{@}}[$i])) > 0",
                "{{http_response_status_code}}"), w=12, stack=True),
    panel("Requests in flight", "Requests being served now. A level that only grows is a service that hangs.", "short",
          query("sum by (job) (http_server_active_requests{@})", "{{job}}"), w=12),
]

downstream = [
    panel("Calls to other services", "Calls per second, by the service that is called and how it ended.", "reqps",
          query(f"sum by (job, peer_service, outcome) (rate({CLIENT}_count{{@}}[$i])) > 0",
                "{{job}} → {{peer_service}} {{outcome}}")),
    panel("Failed calls", "Share of calls that ended with a 5xx, a timeout or no connection.", "percentunit",
          query(f"sum by (job, peer_service) (rate({CLIENT}_count{{@,outcome=~\"5xx|timeout|unreachable\"}}[$i])) "
                f"/ clamp_min(sum by (job, peer_service) (rate({CLIENT}_count{{@}}[$i])), 1e-9)",
                "{{job}} → {{peer_service}}"), steps=RATIO, lines=True),
    panel("Duration of calls", "Time until the called service had answered.", "s",
          *quantiles(CLIENT, "job, peer_service", "{{job}} → {{peer_service}}")),
    panel("Database operations, p95", "Time that 95 of 100 operations took at most, waiting for a connection "
          "included.", "s",
          query(f"histogram_quantile(0.95, sum by (job, db_operation_name, le) (rate({DB}_bucket{{@}}[$i])))",
                "{{job}} {{db_operation_name}}", exemplar=True)),
    panel("Failed database operations", "Timeouts and errors per second. A conflict (an email that is taken) is "
          "an answer and not counted.", "ops",
          query(f"sum by (job, outcome) (rate({DB}_count{{@,outcome=~\"timeout|error\"}}[$i]))",
                "{{job}} {{outcome}}")),
    panel("Database connections", "Connections in use and idle. All in use for long: requests wait for one.", "short",
          query("sum by (job, state) (db_client_connection_count{@})", "{{job}} {{state}}")),
]

business = [
    panel("Users and orders", "Created per second.", "ops",
          query("sum(rate(users_created_total{@}[$i]))", "users"),
          query("sum(rate(orders_created_total{@}[$i]))", "orders")),
    panel("Orders by status", "Orders that entered a status, per second.", "ops",
          query("sum by (status) (rate(orders_by_status_total{@}[$i]))", "{{status}}"), stack=True),
    panel("Orders refused or failed", "By reason, per second: the first three are the client's, the rest ours.", "ops",
          query("sum by (reason) (rate(orders_errors_total{@}[$i]))", "{{reason}}"), stack=True),
    panel("Order value", "What an order is worth, by quantile.", "currencyUSD",
          *quantiles("order_value", "job", "")),
    panel("Notifications", "Sent by type, and attempts that failed, per second.", "ops",
          query("sum by (type) (rate(notifications_sent_total{@}[$i]))", "sent {{type}}"),
          query("sum(rate(notifications_failed_total{@}[$i]))", "failed")),
    panel("Gateway, by endpoint", "Requests per second at the public entry.", "reqps",
          query("sum by (endpoint) (rate(gateway_requests_total{@}[$i])) > 0", "{{endpoint}}")),
    panel("Gateway errors, by endpoint", "5xx per second at the public entry.", "reqps",
          query("sum by (endpoint) (rate(gateway_errors_total{@}[$i]))", "{{endpoint}}"), w=12),
    panel("Orders not validated", "Orders per second that went on without the Lambda's verdict, because it could "
          "not be had; and requests of users that user-service could not serve.", "ops",
          query("sum(rate(gateway_validation_skipped_total{@}[$i]))", "validation skipped"),
          query("sum(rate(users_errors_total{@}[$i]))", "user-service failed"), w=12),
]

runtime = [
    panel("CPU", "Cores in use.", "short", query("rate(process_cpu_seconds_total{@}[$i])", "{{job}} {{instance}}"),
          w=6),
    panel("Memory", "Resident memory of the process.", "bytes",
          query("process_resident_memory_bytes{@}", "{{job}} {{instance}}"), w=6),
    panel("File descriptors", "Share of the most that the process may have open.", "percentunit",
          query("process_open_fds{@} / process_max_fds{@}", "{{job}} {{instance}}"),
          w=6, steps=[(None, GREEN), (0.8, RED)], lines=True),
    panel("Threads", "Threads of the process, and those of them that serve HTTP.", "short",
          query("process_threads{@}", "threads {{job}}"),
          query("runtime_tokio_workers{@}", "workers {{job}}"), w=6),
    panel("Active faults", "Faults that somebody has set with `o11y-lab fault set`: 1 while active.", "short",
          query("sum by (job, fault) (fault_active{@})", "{{job}} {{fault}}"), w=12),
    panel("What runs", "Version of each process; the value is the time since its start.", "s",
          query("time() - process_start_time_seconds{@} "
                "+ on (job, instance) group_left (version) (0 * build_info{@})", "{{job}} {{version}}"),
          kind="stat", w=12),
]

DASHBOARD = dashboard(
    "o11y-services", "Services", "Rate, errors and duration of each service and route, and what explains them.",
    [("Requests", traffic), ("By route", routes), ("Downstream", downstream), ("Business", business),
     ("Processes", runtime)])
