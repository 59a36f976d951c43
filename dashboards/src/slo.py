"""SLO: how much of the error budget is left, and how fast it burns."""

from .grafana import GREEN, ORANGE, PROMETHEUS, RED, SERVICES, choice, dashboard, panel, query, stat

SERVER = "http_server_request_duration_seconds"
SLO = 'slo=~"$slo"'
# The factors of the SRE workbook's four alerts: 30-day budgets that last 2, 5, 10 and 30 days.
FACTORS = [(None, GREEN), (1, "yellow"), (3, ORANGE), (6, "semi-dark-red"), (14.4, RED)]
# Apdex with T = 25 ms: satisfied up to T, tolerating up to 4 T, both bucket bounds; a 5xx is neither.
GOOD = 'http_response_status_code!~"5.."'

budget = [
    stat("Objective", "Share of good requests that is promised over 30 days.", "percentunit",
         query(f"max by (slo) (slo:objective:ratio{{{SLO}}})", "{{slo}}"), w=8, most=1),
    stat("Error budget left", "Of the budget of the period: 100 % is untouched, below zero the objective is missed.",
         "percentunit", query(f"min by (slo) (slo:period_error_budget_remaining:ratio{{{SLO}}})", "{{slo}}"), w=8,
         least=None, steps=[(None, RED), (0, ORANGE), (0.25, GREEN)]),
    stat("Burn rate now", "1 uses the budget up exactly by the end of the period; 14.4 in two days.", "short",
         query(f"max by (slo) (slo:current_burn_rate:ratio{{{SLO}}})", "{{slo}}"), w=8, steps=FACTORS),
    panel("Burn rate against the alerts' thresholds", "Lines: 1 and 3 make a ticket, 6 and 14.4 page, when the "
          "alert's long window agrees.", "short",
          query(f"max by (slo) (slo:current_burn_rate:ratio{{{SLO}}})", "{{slo}}"), w=12, h=10,
          steps=FACTORS, lines=True),
    panel("Error budget left, over time", "Of the budget of the period.", "percentunit",
          query(f"min by (slo) (slo:period_error_budget_remaining:ratio{{{SLO}}})", "{{slo}}"), w=12, h=10,
          least=None, most=1, steps=[(None, RED), (0, ORANGE), (0.25, GREEN)], lines=True),
]

users = [
    panel("Availability", "Share of requests without a 5xx, by service: 100 % where nothing failed.", "percentunit",
          query(f'1 - sum by (job) (rate({SERVER}_count{{@,http_response_status_code=~"5.."}}[$i])) '
                f"/ clamp_min(sum by (job) (rate({SERVER}_count{{@}}[$i])), 1e-9)", "{{job}}"), w=12, most=1,
          steps=[(None, RED), (0.995, GREEN)], lines=True),
    panel("Apdex", "Application performance index with T = 25 ms: requests within T count whole, within 100 ms half, "
          "slower or failed ones not at all.", "short",
          query(f'(sum by (job) (rate({SERVER}_bucket{{@,{GOOD},le="0.025"}}[$i])) '
                f'+ sum by (job) (rate({SERVER}_bucket{{@,{GOOD},le="0.1"}}[$i]))) '
                f"/ 2 / sum by (job) (rate({SERVER}_count{{@}}[$i]))", "{{job}}"), w=12, most=1,
          steps=[(None, RED), (0.7, ORANGE), (0.85, GREEN)], lines=True),
]

alerts = [
    stat("Firing alerts", "By severity; zero where nothing fires.", "short",
         query('count(ALERTS{alertstate="firing",severity="critical"}) or vector(0)', "critical"),
         query('count(ALERTS{alertstate="firing",severity="warning"}) or vector(0)', "warning"),
         w=8, h=8, steps=[(None, GREEN), (1, RED)]),
    panel("Alerts over time", "Which alerts fired when. Their runbooks: the link in the alert.", "short",
          query('sum by (alertname, service, severity) (ALERTS{alertstate="firing"})',
                "{{severity}} {{alertname}} {{service}}"), stack=True),
    panel("Alerts delivered", "Alerts that notification-service received from Alertmanager, per second.", "ops",
          query("sum by (status) (rate(alerts_received_total{@}[$i]))", "{{status}}")),
]

SLOS = choice("slo", "SLO", PROMETHEUS, "label_values(slo:objective:ratio, slo)")
DASHBOARD = dashboard(
    "o11y-slo", "SLO", "Error budgets and how fast they burn; the alerts' thresholds as lines.",
    [("Error budget", budget), ("What users see", users), ("Alerts", alerts)], [*SERVICES, SLOS])
