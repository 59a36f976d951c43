"""What all dashboards have in common, so that a panel is one call and says only what is its own.

In expressions `@` stands for the filter on service and instance, and `[$i]` for a range of
Grafana's rate interval.
"""

FILTER = 'job=~"$job",instance=~"$instance"'
PROMETHEUS = {"type": "prometheus", "uid": "${datasource}"}
LOKI = {"type": "loki", "uid": "${loki_datasource}"}
JAEGER = {"type": "jaeger", "uid": "${jaeger_datasource}"}
WIDTH = 24

GREEN, ORANGE, RED = "green", "orange", "red"
# A point of a line that is labelled by service leads to what that service logged then.
TO_LOGS = {
    "title": "Logs of ${__field.labels.job}",
    "url": "/d/o11y-logs?${__url_time_range}&var-service=${__field.labels.job}",
}


def expression(text):
    return text.replace("@", FILTER).replace("[$i]", "[$__rate_interval]")


def query(text, legend="", **more):
    """One PromQL query."""
    return {"datasource": PROMETHEUS, "expr": expression(text), "legendFormat": legend, **more}


def logs(text, legend="", **more):
    """One LogQL query."""
    return {"datasource": LOKI, "expr": text, "legendFormat": legend, "queryType": "range", **more}


def panel(title, about, unit, *queries, kind="timeseries", w=8, h=8, steps=None, lines=False, stack=False,
          least=0, most=None, links=(), options=None):
    """`steps` are (value, colour) from the lowest on; `lines` draws them; `least`, `most` end the axis."""
    steps = steps or [(None, GREEN)]
    custom = {}
    if kind == "timeseries":
        custom = {"lineWidth": 1, "fillOpacity": 20 if stack else 0, "showPoints": "never",
                  "stacking": {"mode": "normal" if stack else "none", "group": "A"},
                  "thresholdsStyle": {"mode": "line" if lines else "off"}}
    defaults = {
        "unit": unit,
        "color": {"mode": "palette-classic" if kind == "timeseries" else "thresholds"},
        "thresholds": {"mode": "absolute", "steps": [{"value": value, "color": colour} for value, colour in steps]},
        "custom": custom,
        "links": list(links),
    }
    defaults |= {name: value for name, value in (("min", least), ("max", most)) if value is not None}
    targets = [{"refId": chr(ord("A") + n), **one} for n, one in enumerate(queries)]
    return {
        "type": kind, "title": title, "description": about, "datasource": queries[0]["datasource"],
        "targets": targets, "gridPos": {"w": w, "h": h},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {**OPTIONS.get(kind, {}), **(options or {})},
    }


REDUCE = {"calcs": ["lastNotNull"], "fields": "", "values": False}
OPTIONS = {
    "timeseries": {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
                   "tooltip": {"mode": "multi", "sort": "desc"}},
    "stat": {"reduceOptions": REDUCE, "colorMode": "background", "graphMode": "area", "textMode": "value_and_name"},
    "bargauge": {"reduceOptions": REDUCE, "orientation": "horizontal", "displayMode": "basic"},
    "logs": {"showTime": True, "wrapLogMessage": True, "enableLogDetails": True, "sortOrder": "Descending"},
}


def stat(title, about, unit, *queries, **more):
    return panel(title, about, unit, *queries, kind="stat", **{"w": 6, "h": 5, **more})


def quantiles(metric, by, label):
    """Three queries: the p50, p95 and p99 of a histogram. Its exemplars come with the last: with each they would be
    drawn three times."""
    return [
        query(f"histogram_quantile(0.{p}, sum by ({by}, le) (rate({metric}_bucket{{@}}[$i])))", f"p{p} {label}",
              exemplar=p == 99)
        for p in (50, 95, 99)
    ]


def datasource(name, kind, label):
    return {"name": name, "label": label, "type": "datasource", "query": kind, "refresh": 1, "hide": 0,
            "current": {"text": label, "value": kind}, "options": [], "regex": ""}


def choice(name, label, source, text, all_value=".+"):
    """A variable of one or more values of a label."""
    # The data sources of the two languages ask in forms of their own.
    asked = {"query": text, "refId": name} if source is PROMETHEUS else {"label": name, "type": 1, "stream": ""}
    return {"name": name, "label": label, "type": "query", "datasource": source, "query": asked, "definition": text,
            "multi": True, "includeAll": True, "allValue": all_value, "refresh": 2, "sort": 1, "hide": 0,
            "current": {"text": ["All"], "value": ["$__all"]}, "options": [], "regex": ""}


def text(name, label):
    return {"name": name, "label": label, "type": "textbox", "query": "", "hide": 0,
            "current": {"text": "", "value": ""}, "options": []}


SERVICES = [
    datasource("datasource", "prometheus", "Prometheus"),
    choice("job", "Service", PROMETHEUS, "label_values(build_info, job)"),
    choice("instance", "Instance", PROMETHEUS, 'label_values(build_info{job=~"$job"}, instance)'),
]


def dashboard(uid, title, about, rows, variables=SERVICES):
    """Panels from left to right, a new line where one does not fit, below the title of their row."""
    panels, y = [], 0
    for name, row in rows:
        panels.append({"type": "row", "title": name, "collapsed": False, "panels": [],
                       "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1}})
        x, y, tallest = 0, y + 1, 0
        for one in row:
            if x + one["gridPos"]["w"] > WIDTH:
                x, y, tallest = 0, y + tallest, 0
            panels.append({**one, "gridPos": {"x": x, "y": y, **one["gridPos"]}})
            x, tallest = x + one["gridPos"]["w"], max(tallest, one["gridPos"]["h"])
        y += tallest
    for number, one in enumerate(panels, 1):
        one["id"] = number
    links = [{"title": "o11y-lab", "type": "dashboards", "tags": ["o11y-lab"], "asDropdown": False,
              "keepTime": True, "includeVars": True, "icon": "external link", "targetBlank": False}]
    return {"uid": uid, "title": title, "description": about, "tags": ["o11y-lab"], "schemaVersion": 41,
            "version": 1, "editable": False, "graphTooltip": 1, "timezone": "browser", "refresh": "10s",
            "time": {"from": "now-30m", "to": "now"}, "links": links, "templating": {"list": variables},
            "annotations": {"list": []}, "panels": panels}
