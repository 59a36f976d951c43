//! What every role stands on: telemetry, metrics, HTTP in and out, health, shutdown.

pub mod health;
pub mod propagation;
pub mod shutdown;
pub mod telemetry;

pub use health::Health;
pub use shutdown::Shutdown;
