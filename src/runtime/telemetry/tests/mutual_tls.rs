//! A backend that wants to know who sends.

use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;

use super::*;

#[tokio::test]
async fn a_client_certificate_is_shown_to_the_backend_and_without_its_key_it_is_left_out() {
    install_crypto();
    let made = || rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (server, client) = (made(), made());
    let mut known = RootCertStore::empty();
    known.add(client.cert.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder(Arc::new(known)).build().unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(server.signing_key.serialize_der()).unwrap();
    let tls = rustls::ServerConfig::builder().with_client_cert_verifier(verifier);
    let tls = tls.with_single_cert(vec![server.cert.der().clone()], key).unwrap();
    let collector = Collector::start(kept(), Some(Arc::new(tls)));
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, pem: String| {
        std::fs::write(folder.path().join(name), pem).unwrap();
        text(folder.path().join(name).display())
    };
    let config = OtelConfig {
        otel_exporter_otlp_endpoint: text(format!("https://localhost:{}", collector.port)),
        otel_exporter_otlp_certificate: file("ca.pem", server.cert.pem()),
        otel_exporter_otlp_traces_client_certificate: file("client.pem", client.cert.pem()),
        otel_exporter_otlp_traces_client_key: file("client.key", client.signing_key.serialize_pem()),
        otel_exporter_otlp_timeout: text(2000),
        ..to(0)
    };
    let telemetry = started(&config);
    end_spans(&telemetry, 1);
    assert!(telemetry.flush(10 * SECOND).await);
    assert_eq!(collector.received().len(), 1);

    let keyless = OtelConfig { otel_exporter_otlp_traces_client_key: None, ..config };
    let settings = Settings::read("order-service", &keyless);
    let notes = &settings.notes.0;
    assert!(notes[0].starts_with("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE "), "{notes:?}");
    let exporters = on_plain_thread(|| RunningExporters::build(&settings, &keyless, None)).unwrap().unwrap();
    let telemetry = Telemetry::of(exporters);
    end_spans(&telemetry, 1);
    assert!(!telemetry.flush(10 * SECOND).await);
    assert_eq!(collector.received().len(), 1);
}
