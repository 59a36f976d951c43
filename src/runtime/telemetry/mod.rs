//! stub
pub struct Telemetry;
pub fn start(
    _: &str,
    _: &crate::config::OtelConfig,
    _: &crate::config::LogConfig,
) -> anyhow::Result<Telemetry> {
    Ok(Telemetry)
}
impl Telemetry {
    pub async fn flush(&self, _d: std::time::Duration) -> bool {
        true
    }
    pub async fn shutdown(self, _d: std::time::Duration) {}
}
