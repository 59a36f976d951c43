//! `o11y-lab healthcheck`: one request, for containers that have no shell and no curl.

use anyhow::bail;

use crate::config::HealthcheckConfig;
use crate::runtime::oneshot::{OneShot, OneShotError};

/// Asks the URL once. `Ok` on any 2xx; everything else is an error of one line.
pub async fn run(config: HealthcheckConfig) -> anyhow::Result<()> {
    let url = config.target();
    // A redirect is not health: what it points to may be another service.
    match OneShot::new(config.timeout, 0).status(&url).await {
        Ok(status) if status.is_success() => Ok(()),
        Ok(status) => bail!("{url} answered {status}"),
        Err(OneShotError::Timeout(limit)) => bail!("{url} did not answer within {limit:?}"),
        Err(error) => bail!("{url} cannot be asked: {error}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use actix_web::{App, HttpResponse, HttpServer, web};

    use super::*;

    fn ask(port: u16, path: &str) -> HealthcheckConfig {
        let url = Some(format!("http://127.0.0.1:{port}{path}"));
        HealthcheckConfig { url, host: None, port: Some(port), timeout: Duration::from_secs(5) }
    }

    #[actix_web::test]
    async fn only_a_2xx_is_healthy_and_everything_else_is_one_line() {
        let server = HttpServer::new(|| {
            App::new()
                .route("/health", web::get().to(HttpResponse::Ok))
                .route("/ready", web::get().to(HttpResponse::ServiceUnavailable))
                .route(
                    "/moved",
                    web::get().to(|| async {
                        HttpResponse::Found().insert_header(("location", "/health")).finish()
                    }),
                )
        })
        .workers(1)
        .bind(("127.0.0.1", 0))
        .unwrap();
        let port = server.addrs()[0].port();
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);

        run(ask(port, "/health")).await.unwrap();
        run(HealthcheckConfig { url: None, ..ask(port, "") }).await.unwrap();
        for path in ["/ready", "/moved", "/nothing"] {
            let error = run(ask(port, path)).await.unwrap_err().to_string();
            assert!(error.contains(path) && !error.contains('\n'), "{error}");
        }
        handle.stop(false).await;
        let error = run(ask(port, "/health")).await.unwrap_err().to_string();
        assert!(error.contains("cannot be asked") && !error.contains('\n'), "{error}");
    }
}
