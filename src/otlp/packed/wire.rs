//! Protobuf's fields as they travel (its encoding, "Message structure"), without groups.

/// The value of a field.
#[derive(Clone, Copy)]
pub(super) enum RawFieldValue<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    /// Its value is asked for nowhere.
    Fixed32,
}

/// What is left of a message.
pub(super) struct WireFields<'a>(pub(super) &'a [u8]);

impl<'a> WireFields<'a> {
    /// Number and value of the next field; `Some(None)` at the end, `None` for what is no field.
    // Each walk is a loop around it, and a call for each field was a tenth of taking a span in.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Option<Option<(u64, RawFieldValue<'a>)>> {
        if self.0.is_empty() {
            return Some(None);
        }
        let key = self.varint()?;
        let value = match key & 7 {
            0 => RawFieldValue::Varint(self.varint()?),
            1 => RawFieldValue::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                let (value, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                RawFieldValue::Bytes(value)
            }
            5 => self.array::<4>().map(|_| RawFieldValue::Fixed32)?,
            _ => return None,
        };
        Some(Some((key >> 3, value)))
    }

    #[inline]
    fn varint(&mut self) -> Option<u64> {
        let (&first, rest) = self.0.split_first()?;
        if first < 0x80 {
            self.0 = rest;
            return Some(first.into());
        }
        let mut value = 0_u64;
        for (at, &byte) in self.0.iter().enumerate().take(10) {
            // Ten bytes have 70 bits.
            if at == 9 && byte > 1 {
                return None;
            }
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                self.0 = &self.0[at + 1..];
                return Some(value);
            }
        }
        None
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }
}

/// The fields of a message that was checked; where it is wrong all the same, those before.
#[inline]
pub(super) fn checked(message: &[u8]) -> impl Iterator<Item = (u64, RawFieldValue<'_>)> {
    let mut fields = WireFields(message);
    std::iter::from_fn(move || fields.next().flatten())
}

/// Those among them that are bytes, texts or messages, of one number.
#[inline]
pub(super) fn parts(message: &[u8], number: u64) -> impl Iterator<Item = &[u8]> {
    checked(message).filter_map(move |field| match field {
        (found, RawFieldValue::Bytes(part)) if found == number => Some(part),
        _ => None,
    })
}
