//! What a pipeline may do to telemetry, and the row of `verify` that has to say so.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::proxy::{
    Change, Fate, Memory, attribute, each_point, each_record, each_span, metric_lists, record_lists,
    rename_service, span_lists,
};

/// A change and what it has to turn red.
pub struct Mutation {
    /// What happens, in words.
    pub what: &'static str,
    pub change: Change,
    /// The rows that have to be red, and no others.
    pub red: &'static [&'static str],
    /// Words that the first of them has to say.
    pub words: &'static str,
}

const fn mutation(
    what: &'static str,
    red: &'static [&'static str],
    words: &'static str,
    change: Change,
) -> Mutation {
    Mutation { what, change, red, words }
}

fn spans(export: &mut Value, name: &str, mut change: impl FnMut(&mut Value)) -> Fate {
    each_span(export, |_, span| {
        if span["name"] == name {
            change(span);
        }
    });
    Fate::Pass
}

fn records(export: &mut Value, message: &str, mut change: impl FnMut(&mut Value)) -> Fate {
    each_record(export, |_, record| {
        if record["body"]["stringValue"] == message {
            change(record);
        }
    });
    Fate::Pass
}

fn shifted(span: &mut Value, key: &str, seconds: i64) {
    let nanos: i64 = span[key].as_str().and_then(|text| text.parse().ok()).expect("a time");
    span[key] = (nanos + seconds * 1_000_000_000).to_string().into();
}

fn all_of(export: &mut Value, service: &str, mut change: impl FnMut(&mut Value)) -> Fate {
    each_span(export, |of, span| {
        if of == service {
            change(span);
        }
    });
    Fate::Pass
}

pub const TRACES: &[Mutation] = &[
    mutation("a leaf is dropped", &["traces.complete"], "no user-service SELECT users in", |export, _| {
        span_lists(export, |_, list| list.retain(|span| span["name"] != "SELECT users"));
        Fate::Pass
    }),
    mutation(
        "an inner span is dropped",
        &["traces.complete"],
        "no order-service send notifications",
        |export, _| {
            span_lists(export, |_, list| list.retain(|span| span["name"] != "send notifications"));
            Fate::Pass
        },
    ),
    mutation(
        "the batches of a service are lost",
        &["traces.complete"],
        "no order-validator order-validator",
        |export, _| {
            span_lists(export, |service, list| list.retain(|_| service != "order-validator"));
            Fate::Pass
        },
    ),
    mutation(
        "a service's spans come after the deadline",
        &["traces.complete"],
        "no user-service",
        |export, _| {
            let mut late = false;
            each_span(export, |service, _| late |= service == "user-service");
            if late { Fate::Late(Duration::from_secs(12)) } else { Fate::Pass }
        },
    ),
    mutation(
        "a service's spans get another trace id",
        &["traces.complete"],
        "no user-service",
        |export, _| {
            all_of(export, "user-service", |span| {
                let id = span["traceId"].as_str().unwrap().replace(['0', '1', '2'], "f");
                span["traceId"] = id.into();
            })
        },
    ),
    mutation("a span comes again under its id", &["traces.duplicates"], "is there twice", |export, _| {
        span_lists(export, |_, list| {
            // The console takes the same id and kind for a correction.
            let again = list.iter().filter(|span| span["name"] == "INSERT orders").cloned();
            let again: Vec<_> = again
                .map(|mut span| {
                    span["kind"] = json!(1);
                    span
                })
                .collect();
            list.extend(again);
        });
        Fate::Pass
    }),
    mutation(
        "a span comes again under another id",
        &["traces.extra"],
        "CLIENT INSERT orders in order",
        |export, _| {
            span_lists(export, |_, list| {
                let again = list.iter().filter(|span| span["name"] == "INSERT orders").cloned();
                let again: Vec<_> = again
                    .map(|mut span| {
                        span["spanId"] = "00000000000000aa".into();
                        span
                    })
                    .collect();
                list.extend(again);
            });
            Fate::Pass
        },
    ),
    mutation("a stranger's span joins a trace", &["traces.extra"], "a stranger in", |export, _| {
        span_lists(export, |_, list| {
            let strange = list.iter().filter(|span| span["name"] == "SELECT users").cloned();
            let strange: Vec<_> = strange
                .map(|mut span| {
                    (span["spanId"], span["name"], span["kind"]) =
                        ("00000000000000bb".into(), "a stranger".into(), json!(1));
                    span
                })
                .collect();
            list.extend(strange);
        });
        Fate::Pass
    }),
    mutation(
        "a child hangs under another span",
        &["traces.parents"],
        "process notifications under",
        |export, memory| {
            let Memory { spans: seen, .. } = memory;
            spans(export, "process notifications", |span| {
                let trace = span["traceId"].as_str().unwrap();
                let other =
                    seen.get(trace).into_iter().flatten().find(|id| span["parentSpanId"] != id.as_str());
                span["parentSpanId"] = other.cloned().unwrap_or_else(|| "00000000000000cc".to_owned()).into();
            })
        },
    ),
    mutation("a child loses its parent", &["traces.parents"], "INSERT orders under nothing", |export, _| {
        spans(export, "INSERT orders", |span| span["parentSpanId"] = "".into())
    }),
    mutation("a parent's id is cut", &["traces.parents"], "which is not there", |export, _| {
        spans(export, "send email", |span| span["parentSpanId"] = "00000000000000dd".into())
    }),
    mutation("the root gets a parent", &["traces.parents"], "it is the root", |export, _| {
        spans(export, "POST /api/orders", |span| span["parentSpanId"] = "00000000000000ee".into())
    }),
    mutation("a span is renamed", &["traces.names"], "SQL instead of INSERT orders", |export, _| {
        spans(export, "INSERT orders", |span| span["name"] = "SQL".into())
    }),
    mutation("a raw path becomes a name", &["traces.names"], "/api/orders/", |export, _| {
        spans(export, "GET /api/orders/{id}", |span| span["name"] = "GET /api/orders/7".into())
    }),
    mutation("a service is renamed", &["traces.services"], "users instead of user-service", |export, _| {
        rename_service(export, "resourceSpans", "user-service", "users");
        Fate::Pass
    }),
    mutation("a kind is changed", &["traces.kinds"], "INTERNAL instead of PRODUCER", |export, _| {
        spans(export, "send notifications", |span| span["kind"] = json!(1))
    }),
    mutation("an error is invented", &["traces.status"], "Error instead of Unset", |export, _| {
        spans(export, "INSERT orders", |span| span["status"] = json!({"code": 2}))
    }),
    mutation("an error is lost", &["traces.status"], "Unset instead of Error", |export, _| {
        all_of(export, "order-service", |span| span["status"] = json!({}))
    }),
    mutation("an attribute is dropped", &["traces.attributes"], "has no db.query.text", |export, _| {
        each_span(export, |_, span| {
            if let Some(pairs) = span["attributes"].as_array_mut() {
                pairs.retain(|pair| pair["key"] != "db.query.text");
            }
        });
        Fate::Pass
    }),
    mutation("an attribute is renamed", &["traces.attributes"], "has no http.route", |export, _| {
        all_of(export, "user-service", |span| {
            for pair in span["attributes"].as_array_mut().into_iter().flatten() {
                if pair["key"] == "http.route" {
                    pair["key"] = "http.path".into();
                }
            }
        })
    }),
    mutation("an attribute is truncated", &["traces.attributes"], "url.path is \"/api\"", |export, _| {
        all_of(export, "api-gateway", |span| {
            if let Some(value) = attribute(span, "url.path") {
                value["stringValue"] = "/api".into();
            }
        })
    }),
    mutation("an integer becomes text", &["traces.attributes"], "is \"200\" instead of 200", |export, _| {
        all_of(export, "user-service", |span| {
            if let Some(value) = attribute(span, "http.response.status_code") {
                *value = json!({"stringValue": value["intValue"].as_str().unwrap()});
            }
        })
    }),
    mutation("a value is redacted", &["traces.attributes"], "\"****\" instead of", |export, _| {
        all_of(export, "order-service", |span| {
            if let Some(value) = attribute(span, "db.collection.name") {
                *value = json!({"stringValue": "****"});
            }
        })
    }),
    mutation("a clock is an hour behind", &["traces.times"], "before its parent", |export, _| {
        all_of(export, "user-service", |span| {
            shifted(span, "startTimeUnixNano", -3600);
            shifted(span, "endTimeUnixNano", -3600);
        })
    }),
    mutation("a clock is a second ahead", &["traces.times"], "after its parent", |export, _| {
        all_of(export, "order-validator", |span| {
            shifted(span, "startTimeUnixNano", 1);
            shifted(span, "endTimeUnixNano", 1);
        })
    }),
    mutation("a span ends before it begins", &["traces.times"], "before it begins", |export, _| {
        spans(export, "INSERT orders", |span| shifted(span, "endTimeUnixNano", -2))
    }),
];

pub const LOGS: &[Mutation] = &[
    mutation(
        "a line is lost",
        &["logs.complete"],
        "no order-service \"Order created\" of order",
        |export, _| {
            record_lists(export, |_, list| {
                list.retain(|record| record["body"]["stringValue"] != "Order created")
            });
            Fate::Pass
        },
    ),
    mutation("a service's lines are lost", &["logs.complete"], "no notification-service", |export, _| {
        record_lists(export, |service, list| list.retain(|_| service != "notification-service"));
        Fate::Pass
    }),
    mutation(
        "a line's trace id is cut off",
        &["logs.complete"],
        "no order-service \"Order created\"",
        |export, _| {
            records(export, "Order created", |record| {
                record["traceId"] = "".into();
                record["spanId"] = "".into();
            })
        },
    ),
    mutation(
        "a line comes twice",
        &["logs.duplicates"],
        "\"Order created\" of order 2 times",
        |export, _| {
            record_lists(export, |_, list| {
                let again =
                    list.iter().filter(|record| record["body"]["stringValue"] == "Order created").cloned();
                let again: Vec<_> = again.collect();
                list.extend(again);
            });
            Fate::Pass
        },
    ),
    mutation("a stranger's line joins a trace", &["logs.extra"], "\"who am I\" in order", |export, _| {
        record_lists(export, |_, list| {
            let strange =
                list.iter().filter(|record| record["body"]["stringValue"] == "Order created").cloned();
            let strange: Vec<_> = strange
                .map(|mut record| {
                    record["body"]["stringValue"] = "who am I".into();
                    record
                })
                .collect();
            list.extend(strange);
        });
        Fate::Pass
    }),
    mutation(
        "a line's text is changed",
        &["logs.complete", "logs.extra"],
        "no order-service \"Order created\"",
        |export, _| {
            records(export, "Order created", |record| record["body"]["stringValue"] = "order made".into())
        },
    ),
    mutation("a line names another span", &["logs.spans"], "its span is 00000000000000ff", |export, _| {
        records(export, "Notification sent", |record| record["spanId"] = "00000000000000ff".into())
    }),
    mutation("a line's span id is cut off", &["logs.spans"], "its span id is ''", |export, _| {
        records(export, "Notification sent", |record| record["spanId"] = "".into())
    }),
    mutation("a field is changed", &["logs.fields"], "orderId is 1 instead of", |export, _| {
        records(export, "Order created", |record| {
            if let Some(value) = attribute(record, "orderId") {
                *value = json!({"intValue": "1"});
            }
        })
    }),
    mutation("a line's severity is changed", &["logs.fields"], "level is \"error\"", |export, _| {
        records(export, "Order created", |record| {
            (record["severityNumber"], record["severityText"]) = (json!(17), "ERROR".into());
        })
    }),
];

/// The number of a point, of whatever kind.
fn number(point: &mut Value) -> &mut Value {
    let key = ["asInt", "asDouble", "count"].into_iter().find(|key| point.get(*key).is_some());
    &mut point[key.expect("a number")]
}

fn counted(export: &mut Value, name: &str, change: impl Fn(u64) -> u64) -> Fate {
    each_point(export, name, |point| {
        let value = number(point);
        let read = value.as_u64().or_else(|| value.as_f64().map(|v| v as u64));
        let read = read.or_else(|| value.as_str()?.parse().ok()).expect("a count");
        *value = change(read).to_string().into();
        if let Some(double) = point.get_mut("asDouble") {
            *double = double.as_str().unwrap().parse::<f64>().unwrap().into();
        }
    });
    Fate::Pass
}

pub const METRICS: &[Mutation] = &[
    mutation(
        "a counter is frozen",
        &["metrics.orders_created_total"],
        "+0, expected +2",
        |export, memory| {
            each_point(export, "orders.created", |point| {
                let first =
                    memory.first.entry("orders.created".to_owned()).or_insert_with(|| number(point).clone());
                *number(point) = first.clone();
            });
            Fate::Pass
        },
    ),
    mutation("a counter counts double", &["metrics.users_created_total"], "+2, expected +1", |export, _| {
        counted(export, "users.created", |count| count * 2)
    }),
    mutation("a counter is lost", &["metrics.notifications_sent_total"], "expected +", |export, _| {
        metric_lists(export, |_, list| list.retain(|metric| metric["name"] != "notifications.sent"));
        Fate::Pass
    }),
    mutation(
        "two series become one",
        &["metrics.gateway_requests_total"],
        "endpoint=\"/api/users/{id}\"} +0, expected +2",
        |export, _| {
            let mut moved = 0;
            each_point(export, "gateway.requests", |point| {
                if attribute(point, "endpoint").is_some_and(|value| value["stringValue"] == "/api/users/{id}")
                {
                    let value = number(point);
                    moved = value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_default();
                    *value = "0".into();
                }
            });
            each_point(export, "gateway.requests", |point| {
                if attribute(point, "endpoint").is_some_and(|value| value["stringValue"] == "/api/users") {
                    let value = number(point);
                    let own: u64 =
                        value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_default();
                    *value = (own + moved).to_string().into();
                }
            });
            Fate::Pass
        },
    ),
    mutation(
        "a histogram counts one more for each",
        &["metrics.notification_processing_duration_ms_count"],
        "expected +3",
        |export, _| counted(export, "messaging.process.duration", |count| count * 2),
    ),
    mutation(
        "latencies are in milliseconds and say seconds",
        &["metrics.latencies"],
        "spans took less than 1000 ms, and",
        |export, _| buckets(export, |bounds, _| bounds.iter_mut().for_each(|bound| *bound *= 1000.0)),
    ),
    mutation(
        "latencies lie a bucket too high",
        &["metrics.latencies"],
        "spans took less than",
        |export, _| {
            buckets(export, |_, counts| {
                let last = counts.pop().expect("a bucket");
                counts.insert(0, 0);
                *counts.last_mut().expect("a bucket") += last;
            })
        },
    ),
];

/// Bounds and counts of the requests' latencies.
fn buckets(export: &mut Value, change: impl Fn(&mut Vec<f64>, &mut Vec<u64>)) -> Fate {
    each_point(export, "http.server.request.duration", |point| {
        let number =
            |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok()).expect("a count");
        let mut bounds: Vec<f64> = serde_json::from_value(point["explicitBounds"].clone()).expect("bounds");
        let mut counts: Vec<u64> =
            point["bucketCounts"].as_array().expect("buckets").iter().map(number).collect();
        change(&mut bounds, &mut counts);
        point["explicitBounds"] = json!(bounds);
        point["bucketCounts"] = counts.iter().map(u64::to_string).collect();
    });
    Fate::Pass
}

fn pair(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

/// What breaks no promise about a request, and is not as it was agreed.
pub const QUALITY: &[Mutation] = &[
    mutation(
        "a span gets an attribute that nobody knows",
        &["quality.registry"],
        "has colour, which is not in the registry",
        |export, _| {
            all_of(export, "user-service", |span| {
                span["attributes"].as_array_mut().expect("attributes").push(pair("colour", "red"));
            })
        },
    ),
    mutation(
        "a number becomes text where no claim knows the number",
        &["quality.registry"],
        "server.port is \"",
        |export, _| {
            all_of(export, "order-service", |span| {
                if let Some(value) = attribute(span, "server.port") {
                    *value = json!({"stringValue": value["intValue"].as_str().unwrap()});
                }
            })
        },
    ),
    mutation(
        "an attribute is lost that no claim needs",
        &["quality.registry"],
        "lacks service.peer.name",
        |export, _| {
            all_of(export, "api-gateway", |span| {
                let pairs = span["attributes"].as_array_mut().expect("attributes");
                pairs.retain(|pair| pair["key"] != "service.peer.name");
            })
        },
    ),
    mutation(
        "a resource loses its instance",
        &["quality.registry"],
        "lacks service.instance.id",
        |export, _| {
            resources(export, |pairs| pairs.retain(|pair| pair["key"] != "service.instance.id"));
            Fate::Pass
        },
    ),
    mutation(
        "a metric comes that nobody knows",
        &["quality.registry"],
        "has a metric pets, which is not in the registry",
        |export, _| {
            metric_lists(export, |_, list| {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_nanos();
                let points = json!([{"asInt": "1", "timeUnixNano": now.to_string()}]);
                list.push(json!({"name": "pets", "unit": "{pet}", "gauge": {"dataPoints": points}}));
            });
            Fate::Pass
        },
    ),
    mutation(
        "a gauge gets another unit",
        &["quality.registry"],
        "queue.dead_letters is a gauge in \"{letter}\"",
        |export, _| {
            metric_lists(export, |_, list| {
                for metric in list.iter_mut().filter(|metric| metric["name"] == "queue.dead_letters") {
                    metric["unit"] = "{letter}".into();
                }
            });
            Fate::Pass
        },
    ),
    mutation(
        "a line gets a field that nobody knows",
        &["quality.registry"],
        "\"Order created\" has colour, which is not in the registry",
        |export, _| {
            records(export, "Order created", |record| {
                record["attributes"].as_array_mut().expect("attributes").push(pair("colour", "red"));
            })
        },
    ),
    mutation(
        "what a request says is said of its process",
        &["quality.score"],
        "RES-004: http.request.method is on a resource",
        |export, _| {
            resources(export, |pairs| pairs.push(pair("http.request.method", "GET")));
            Fate::Pass
        },
    ),
    mutation(
        "two processes say that they are one",
        &["quality.score"],
        "RES-002: two processes have the service.instance.id",
        |export, memory| {
            let turn = memory.first.len();
            memory.first.insert(turn.to_string(), Value::Null);
            resources(export, |pairs| {
                for pair in pairs.iter_mut().filter(|pair| pair["key"] == "process.pid") {
                    pair["value"] = json!({"intValue": (turn % 2).to_string()});
                }
            });
            Fate::Pass
        },
    ),
];

/// The attributes of each resource that sends spans.
fn resources(export: &mut Value, mut change: impl FnMut(&mut Vec<Value>)) {
    for group in export["resourceSpans"].as_array_mut().into_iter().flatten() {
        change(group["resource"]["attributes"].as_array_mut().expect("attributes"));
    }
}
