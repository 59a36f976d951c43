//! The transports as data: settings, help, documents, span attributes and tests read these rows.

mod row;
mod table;

use clap::ValueEnum;
use clap::builder::PossibleValue;

pub use row::{AddressSetting, CargoFeature, Guarantees, KeyOrder, TransportRow};
pub use table::TRANSPORTS;

/// A broker that messages can travel through; its facts stand in [`TRANSPORTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the rows say what each one is")]
pub enum Transport {
    Embedded,
    Redis,
    Sqs,
    Kafka,
    Rabbitmq,
}

impl Transport {
    const ALL: [Self; 5] = [Self::Embedded, Self::Redis, Self::Sqs, Self::Kafka, Self::Rabbitmq];

    /// Its row.
    pub fn row(self) -> &'static TransportRow {
        &TRANSPORTS[self as usize]
    }

    /// The spelling of flag, variable and `GET /stats`.
    pub fn as_str(self) -> &'static str {
        self.row().name
    }
}

impl ValueEnum for Transport {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.row().name).help(self.row().about))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::BrokerConfig;

    #[test]
    fn the_table_is_indexed_by_transport() {
        for (i, (row, transport)) in TRANSPORTS.iter().zip(Transport::ALL).enumerate() {
            assert_eq!((row.transport, row.transport as usize), (transport, i));
        }
    }

    #[test]
    fn a_transport_without_its_address_says_which_setting_is_missing() {
        for row in TRANSPORTS.iter().filter(|row| row.feature.as_ref().is_none_or(|f| f.built)) {
            let said = row.check(&BrokerConfig::default());
            match &row.address {
                None => assert_eq!(said, Ok(())),
                Some(address) => {
                    let said = said.err().unwrap_or_default();
                    assert!(said.contains(address.flag) && said.contains(address.variable), "{said}");
                }
            }
        }
    }
}
